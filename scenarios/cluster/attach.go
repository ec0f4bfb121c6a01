package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/reports/result"
	"holdfast/scenarios"
)

// ErrRemote says that a cluster is not on this machine alone.
var ErrRemote = errors.New("not on this machine")

// Attached is a topic of a cluster that runs without us. All that is known of the cluster is what its name server and its masters say.
type Attached struct {
	Topic    scenarios.Topic
	Contract result.Contract // of every master; without a role where they differ
	Version  string          // of the first master, as it says; empty: it does not

	driver   *rocketmq.System
	settings map[string]string // "BROKER.key"
}

// Attach asks name servers (HOST:PORT) for an existing topic and its masters for their configuration. Unless remote is set, it errs with ErrRemote
// where any of them has another address than one of the loopback device.
func Attach(ctx context.Context, nameServers []string, topic string, remote bool) (*Attached, error) {
	masters, queues, err := findTopic(ctx, nameServers, topic, remote)
	if err != nil {
		return nil, err
	}
	a := &Attached{Topic: scenarios.Topic{Name: topic, Queues: queues * len(masters)}, settings: map[string]string{}}
	var groups []string
	for i, m := range masters {
		groups = append(groups, m.name)
		c, err := a.ask(ctx, m)
		if err != nil {
			return nil, err
		}
		switch {
		case i == 0:
			a.Contract = c
		case a.Contract != c:
			a.Contract = result.Contract{Name: "masters differ"}
		}
	}
	info, err := runtimeInfo(ctx, masters[0].address)
	if err != nil {
		return nil, err
	}
	a.Version = info["brokerVersionDesc"]
	a.driver, err = rocketmq.New(rocketmq.Config{NameServers: nameServers, Groups: groups})
	return a, err
}

// groupMaster is the master of a broker group.
type groupMaster struct{ name, address string }

// findTopic returns the masters of a topic by name, and how many queues each has for it.
func findTopic(ctx context.Context, nameServers []string, topic string, remote bool) (masters []groupMaster, queues int, err error) {
	var route remoting.RouteInfo
	for _, address := range nameServers {
		if err = local("name server", address, remote); err != nil {
			return nil, 0, err
		}
	}
	for _, address := range nameServers {
		var f remoting.Frame
		if f, err = ask(ctx, address, remoting.RequestGetRouteInfoByTopic, "topic", topic); err == nil {
			route, err = remoting.ParseRouteInfo(f.Body)
			break
		}
		err = fmt.Errorf("name server %w", err)
	}
	if err != nil {
		return nil, 0, err
	}
	for _, q := range route.Queues {
		address := route.Master(q.BrokerName)
		if q.Perm&remoting.PermWrite == 0 || q.WriteQueues < 1 || address == "" {
			continue
		}
		if err := local("broker "+q.BrokerName, address, remote); err != nil {
			return nil, 0, err
		}
		masters = append(masters, groupMaster{q.BrokerName, address})
		if queues == 0 || int(q.WriteQueues) < queues {
			queues = int(q.WriteQueues)
		}
	}
	if len(masters) == 0 {
		return nil, 0, fmt.Errorf("topic %s has no master that takes sends", topic)
	}
	slices.SortFunc(masters, func(x, y groupMaster) int { return cmp.Compare(x.name, y.name) })
	return masters, queues, nil
}

// local errs with ErrRemote for an address beyond this machine.
func local(what, address string, remote bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	ip, err := netip.ParseAddr(host)
	if remote || host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: %s at %s", ErrRemote, what, address)
}

// ask returns the contract of a master and keeps its configuration.
func (a *Attached) ask(ctx context.Context, m groupMaster) (c result.Contract, err error) {
	f, err := ask(ctx, m.address, remoting.RequestGetBrokerConfig)
	if err != nil {
		return c, err
	}
	conf := map[string]string{}
	for line := range strings.Lines(string(f.Body)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			conf[key] = value
			a.settings[m.name+"."+key] = value
		}
	}
	c = result.Contract{BrokerRole: conf["brokerRole"], FlushDiskType: conf["flushDiskType"], TransientStorePool: conf["transientStorePoolEnable"] == "true"}
	if c.BrokerRole == "" || c.FlushDiskType == "" {
		return result.Contract{Name: "unknown"}, nil
	}
	if c.BrokerRole == "SYNC_MASTER" {
		c.InSyncReplicas = 2 // 4.9 has no such key
		if text, ok := conf["inSyncReplicas"]; ok {
			c.InSyncReplicas, err = strconv.Atoi(text)
		}
	}
	return c, err
}

// Driver implements scenarios.Nodes.
func (a *Attached) Driver() driver.System { return a.driver }

// Master returns nothing: nothing is known of processes.
func (a *Attached) Master() string { return "" }

// CPUSeconds returns nothing.
func (a *Attached) CPUSeconds() map[string]float64 { return map[string]float64{} }

// Memory returns nothing.
func (a *Attached) Memory() map[string]result.Memory { return nil }

// Settings returns what the masters said of their configuration.
func (a *Attached) Settings() map[string]string { return a.settings }

// Close leaves the cluster as it is.
func (a *Attached) Close() error { return a.driver.Close() }
