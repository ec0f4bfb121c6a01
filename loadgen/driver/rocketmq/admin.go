package rocketmq

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// Sizes and times of the administrator.
const (
	adminTimeout = 5 * time.Second        // of one request, unless its context ends before
	routePause   = 100 * time.Millisecond // between looks for a new topic's route
	readBatch    = 1024                   // messages asked for in one pull; Apache's brokers give 32
	standPause   = 20 * time.Millisecond  // between pulls that brought nothing although the log goes on
	standMax     = 100                    // such pulls in a row before a node counts as standing still
)

// admin implements driver.Admin. It has no state: each call has its own connection.
type admin struct{ s *System }

// Admin implements driver.System.
func (s *System) Admin() driver.Admin { return admin{s} }

// call is one connection for requests one after the other.
type call struct {
	conn   net.Conn
	form   remoting.Form
	in     []byte
	have   int
	taken  int // bytes of in that the last reply holds
	opaque int32
}

// dialCall connects to address.
func (a admin) dialCall(ctx context.Context, address string) (*call, error) {
	conn, err := a.s.cfg.World.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &call{conn: conn, form: a.s.cfg.Form, in: make([]byte, 8<<10)}, nil
}

// Close closes the connection.
func (k *call) Close() { _ = k.conn.Close() } // nothing depends on how it ends

// ask sends a request whose fields are appended by header, and returns its reply, valid until the next.
func (k *call) ask(ctx context.Context, code int32, header func(w *remoting.Writer)) (*remoting.Frame, error) {
	k.opaque++
	w := remoting.Begin(nil, &remoting.Frame{
		Code: code, Opaque: k.opaque, Version: remoting.Version, Language: remoting.Go, Form: k.form,
	})
	header(&w)
	deadline := time.Now().Add(adminTimeout)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := k.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := k.conn.Write(w.Finish(nil)); err != nil {
		return nil, err
	}
	for {
		f, err := k.next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", remoting.RequestName(code), err)
		}
		if f.IsResponse() && f.Opaque == k.opaque {
			return f, nil
		}
	}
}

// next returns the next frame.
func (k *call) next() (*remoting.Frame, error) {
	k.have = copy(k.in, k.in[k.taken:k.have])
	k.taken = 0
	for {
		f, n, err := remoting.Decode(k.in[:k.have])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			k.taken = n
			return &f, nil
		}
		if k.have == len(k.in) {
			k.in = append(k.in, make([]byte, len(k.in))...)
		}
		n, err = k.conn.Read(k.in[k.have:])
		if n == 0 && err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		k.have += n
	}
}

// refusal is the error that a reply with another code than SUCCESS stands for.
func refusal(code int32, f *remoting.Frame) error {
	return fmt.Errorf("%s: %s: %s", remoting.RequestName(code), remoting.ResponseName(f.Code), f.Remark)
}

// route asks the name servers, one after the other, where a topic is.
func (a admin) route(ctx context.Context, topic string) (remoting.RouteInfo, error) {
	var last error
	for _, address := range a.s.cfg.NameServers {
		route, err := a.routeFrom(ctx, address, topic)
		if err == nil {
			return route, nil
		}
		last = fmt.Errorf("name server %s: %w", address, err)
	}
	return remoting.RouteInfo{}, last
}

func (a admin) routeFrom(ctx context.Context, address, topic string) (remoting.RouteInfo, error) {
	k, err := a.dialCall(ctx, address)
	if err != nil {
		return remoting.RouteInfo{}, err
	}
	defer k.Close()
	header := remoting.TopicHeader{Topic: topic}
	f, err := k.ask(ctx, remoting.RequestGetRouteInfoByTopic, header.Append)
	if err != nil {
		return remoting.RouteInfo{}, err
	}
	if f.Code != remoting.ResponseSuccess {
		return remoting.RouteInfo{}, refusal(remoting.RequestGetRouteInfoByTopic, f)
	}
	return remoting.ParseRouteInfo(f.Body)
}

// templateTopic is known to every broker that creates topics by itself; its route names all masters.
const templateTopic = "TBW102"

// CreateTopic implements driver.Admin. It tries until ctx ends: a broker that has just started is not yet in the route.
func (a admin) CreateTopic(ctx context.Context, topic string, queues int) error {
	each := max(queues/len(a.s.cfg.Groups), 1)
	for {
		err := a.createTopic(ctx, topic, each)
		if err == nil {
			return nil
		}
		if a.s.cfg.World.Sleep(ctx, routePause) != nil {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
}

// createTopic makes the topic on every master and checks that its route is complete.
func (a admin) createTopic(ctx context.Context, topic string, each int) error {
	for _, group := range a.s.cfg.Groups {
		address, err := a.masterAddress(ctx, templateTopic, group)
		if err != nil {
			return err
		}
		if err := a.createOn(ctx, address, topic, each); err != nil {
			return err
		}
	}
	route, err := a.route(ctx, topic)
	if err != nil {
		return err
	}
	for _, group := range a.s.cfg.Groups {
		found := false
		for _, q := range route.Queues {
			found = found || q.BrokerName == group && int(q.WriteQueues) >= each
		}
		if !found {
			return fmt.Errorf("the route of %s lacks group %s", topic, group)
		}
	}
	return nil
}

func (a admin) createOn(ctx context.Context, address, topic string, each int) error {
	k, err := a.dialCall(ctx, address)
	if err != nil {
		return err
	}
	defer k.Close()
	header := remoting.CreateTopicHeader{DefaultTopic: templateTopic, Topic: remoting.TopicConfig{
		Name: topic, ReadQueues: int32(each), WriteQueues: int32(each), Perm: remoting.PermRead | remoting.PermWrite,
	}}
	f, err := k.ask(ctx, remoting.RequestUpdateAndCreateTopic, header.Append)
	if err == nil && f.Code != remoting.ResponseSuccess {
		err = refusal(remoting.RequestUpdateAndCreateTopic, f)
	}
	return err
}

// masterAddress returns the address that the route gives for the master of a group.
func (a admin) masterAddress(ctx context.Context, topic, group string) (string, error) {
	route, err := a.route(ctx, topic)
	if err != nil {
		return "", err
	}
	address := route.Master(group)
	if address == "" {
		return "", fmt.Errorf("the route of %s has no master of group %s", topic, group)
	}
	return address, nil
}

// Master implements driver.Admin.
func (a admin) Master(ctx context.Context, topic, group string) (string, error) {
	address, err := a.masterAddress(ctx, topic, group)
	if err != nil {
		return "", err
	}
	return a.s.nodeName(address), nil
}

// parseQueue splits a queue's name in a history, group/topic/queueID.
func parseQueue(name string) (topic string, queueID int32, err error) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return "", 0, fmt.Errorf("queue %q is not group/topic/queueID", name)
	}
	id, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil {
		return "", 0, fmt.Errorf("queue %q is not group/topic/queueID", name)
	}
	return parts[1], int32(id), nil
}

// callNode connects to a node by its name.
func (a admin) callNode(ctx context.Context, node string) (*call, error) {
	address, ok := a.s.cfg.Addresses[node]
	if !ok {
		address = node
	}
	k, err := a.dialCall(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	return k, nil
}

// MaxOffset implements driver.Admin.
func (a admin) MaxOffset(ctx context.Context, node, queue string) (int64, error) {
	topic, queueID, err := parseQueue(queue)
	if err != nil {
		return 0, err
	}
	k, err := a.callNode(ctx, node)
	if err != nil {
		return 0, err
	}
	defer k.Close()
	header := remoting.QueueHeader{Topic: []byte(topic), QueueID: queueID}
	f, err := k.ask(ctx, remoting.RequestGetMaxOffset, func(w *remoting.Writer) { header.Append(w, remoting.RequestGetMaxOffset) })
	if err != nil {
		return 0, err
	}
	if f.Code != remoting.ResponseSuccess {
		return 0, refusal(remoting.RequestGetMaxOffset, f)
	}
	return remoting.ParseOffsetReply(f.Ext)
}
