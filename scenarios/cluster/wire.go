package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/broker/remoting"
)

// callTimeout bounds one request to a node: it is on this machine, and a stalled one is asked again.
const callTimeout = 2 * time.Second

// call sends one request without a body and returns the answer, whatever its code.
func call(ctx context.Context, addr string, code int32, ext ...string) (remoting.Frame, error) {
	return exchange(ctx, addr, remoting.Frame{Code: code, Ext: remoting.NewExt(ext...)})
}

// exchange sends a request over a connection of its own and returns the answer, whatever its code.
func exchange(ctx context.Context, addr string, request remoting.Frame) (remoting.Frame, error) {
	return exchangeWithin(ctx, callTimeout, addr, request)
}

// exchangeWithin is exchange for a request that a node may hold for longer.
func exchangeWithin(ctx context.Context, timeout time.Duration, addr string, request remoting.Frame) (remoting.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return remoting.Frame{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request.Opaque, request.Version = 1, remoting.Version
	if _, err := conn.Write(remoting.Append(nil, &request)); err != nil {
		return remoting.Frame{}, err
	}
	var have []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		have = append(have, buf[:n]...)
		frame, size, bad := remoting.Decode(have)
		if bad != nil {
			return remoting.Frame{}, fmt.Errorf("%s: %w", addr, bad)
		}
		if size > 0 {
			return frame, nil
		}
		if err != nil {
			return remoting.Frame{}, err
		}
	}
}

// ask is call for a request that must succeed.
func ask(ctx context.Context, addr string, code int32, ext ...string) (remoting.Frame, error) {
	f, err := call(ctx, addr, code, ext...)
	return f, accepted(addr, code, f, err)
}

// accepted returns err, or the refusal that the answer to a request of this code is.
func accepted(addr string, code int32, f remoting.Frame, err error) error {
	if err == nil && f.Code != remoting.ResponseSuccess {
		err = &refusal{code: f.Code, text: fmt.Sprintf("%s: %s: %s: %s", addr, remoting.RequestName(code), f.CodeName(), f.Remark)}
	}
	return err
}

// refusal is an answer that is not SUCCESS.
type refusal struct {
	code int32 // response code
	text string
}

func (r *refusal) Error() string { return r.text }

// createTopic makes the topic on a master, which registers it at the name server at once.
func createTopic(ctx context.Context, addr string, t Topic) error {
	queues := strconv.Itoa(t.Queues)
	_, err := ask(ctx, addr, remoting.RequestUpdateAndCreateTopic, "topic", t.Name, "defaultTopic", "TBW102",
		"readQueueNums", queues, "writeQueueNums", queues, "perm", strconv.Itoa(permReadWrite),
		"topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false")
	return err
}

// route returns the brokers that the name server gives clients for a topic: address by broker id. None when it knows none.
func route(ctx context.Context, nameServer, topic, group string) (map[string]string, error) {
	f, err := call(ctx, nameServer, remoting.RequestGetRouteInfoByTopic, "topic", topic, "acceptStandardJsonOnly", "true")
	if err != nil || f.Code != remoting.ResponseSuccess {
		return nil, err
	}
	var body struct {
		BrokerDatas []struct {
			BrokerName  string
			BrokerAddrs map[string]string
		}
	}
	if err := json.Unmarshal(f.Body, &body); err != nil {
		return nil, fmt.Errorf("route of %s: %w", topic, err)
	}
	for _, b := range body.BrokerDatas {
		if b.BrokerName == group {
			return b.BrokerAddrs, nil
		}
	}
	return nil, nil
}

// maxOffset returns the log end (next queue offset) that a broker reports for a queue.
func maxOffset(ctx context.Context, addr, topic string, queue int) (int64, error) {
	f, err := ask(ctx, addr, remoting.RequestGetMaxOffset, "topic", topic, "queueId", strconv.Itoa(queue))
	if err != nil {
		return 0, err
	}
	return remoting.ParseOffsetReply(f.Ext)
}

// logEnd returns the physical end of a broker's commit log in bytes.
func logEnd(ctx context.Context, addr string) (int64, error) {
	info, err := runtimeInfo(ctx, addr)
	if err != nil {
		return 0, err
	}
	end, err := strconv.ParseInt(info["commitLogMaxOffset"], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("runtime info of %s: commitLogMaxOffset: %w", addr, err)
	}
	return end, nil
}

// runtimeInfo returns what a broker says of itself.
func runtimeInfo(ctx context.Context, addr string) (map[string]string, error) {
	f, err := ask(ctx, addr, remoting.RequestGetBrokerRuntimeInfo)
	if err != nil {
		return nil, err
	}
	var info struct {
		Table map[string]string
	}
	if err := json.Unmarshal(f.Body, &info); err != nil {
		return nil, fmt.Errorf("runtime info of %s: %w", addr, err)
	}
	return info.Table, nil
}

// haStatus is a master's view of its slaves. Source: HARuntimeInfo (RocketMQ 5.3.3).
type haStatus struct {
	HAConnectionInfo []struct {
		Addr           string
		SlaveAckOffset int64
	}
}

// slavesOf returns how a master sees its slaves; supported is false when it does not know the request (4.9).
func slavesOf(ctx context.Context, addr string) (s haStatus, supported bool, err error) {
	f, err := ask(ctx, addr, remoting.RequestGetBrokerHAStatus)
	if r, refused := err.(*refusal); refused && r.code == remoting.ResponseRequestCodeNotSupported {
		return s, false, nil
	}
	if err != nil {
		return s, true, err
	}
	if err := json.Unmarshal(f.Body, &s); err != nil {
		return s, true, fmt.Errorf("HA status of %s: %w", addr, err)
	}
	return s, true, nil
}

// inSync returns the addresses of the brokers of a group that a controller would elect: those of its SyncStateSet. Source:
// BrokerReplicasInfo (RocketMQ 5.3.3).
func inSync(ctx context.Context, controller, group string) ([]string, error) {
	const code = remoting.RequestControllerGetSyncStateData
	names, err := json.Marshal([]string{group})
	if err != nil {
		return nil, err
	}
	f, err := exchange(ctx, controller, remoting.Frame{Code: code, Body: names})
	if err := accepted(controller, code, f, err); err != nil {
		return nil, err
	}
	var info struct {
		ReplicasInfoTable map[string]struct {
			InSyncReplicas []struct{ BrokerAddress string }
		}
	}
	if err := json.Unmarshal(f.Body, &info); err != nil {
		return nil, fmt.Errorf("SyncStateSet of %s: %w", group, err)
	}
	var addrs []string
	for _, r := range info.ReplicasInfoTable[group].InSyncReplicas {
		addrs = append(addrs, r.BrokerAddress)
	}
	return addrs, nil
}

// introduce tells a slave where its master is, as a name server does when the slave registers: a slave that registered first, or
// whose registration was lost on a busy machine, would hear of it only 10 s later. 4.9 does not know the request.
func introduce(ctx context.Context, slave, master *Node) error {
	ha := netip.AddrPortFrom(master.Addr.Addr(), master.haPort)
	_, err := ask(ctx, slave.Addr.String(), remoting.RequestExchangeBrokerHAInfo, "masterHaAddress", ha.String(), "masterAddress", master.Addr.String())
	if r, refused := err.(*refusal); refused && r.code == remoting.ResponseRequestCodeNotSupported {
		return nil
	}
	return err
}

// effectiveFile is where below its home a node's effective configuration is kept, defaults included.
const effectiveFile = "effective.conf"

// saveEffective writes what the broker itself reports as its configuration beside its log: sorted lines, without the comments of
// Java's Properties, which carry a date.
func (n *Node) saveEffective(ctx context.Context) error {
	if n.System.Name != RocketMQ {
		return nil // it says in its log what it runs with
	}
	f, err := ask(ctx, n.Addr.String(), remoting.RequestGetBrokerConfig)
	if err != nil {
		return broken("effective configuration of %s: %w", n.Name, err)
	}
	var lines []string
	for line := range strings.Lines(string(f.Body)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line+"\n")
		}
	}
	slices.Sort(lines)
	if err := os.WriteFile(filepath.Join(n.Home, effectiveFile), []byte(strings.Join(lines, "")), 0o644); err != nil {
		return broken("effective configuration of %s: %w", n.Name, err)
	}
	return nil
}
