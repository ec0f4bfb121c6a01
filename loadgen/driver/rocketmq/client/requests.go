package client

import (
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// place returns the connection that an operation of slot on a queue goes to.
func (c *Client) place(slot uint32, queue int32) (int, error) {
	if queue < 0 || int(queue) >= c.cfg.Queues {
		return 0, driver.ErrNoQueue
	}
	g := &c.groups[c.templates[queue].group]
	if len(g.lanes) == 0 {
		return 0, driver.ErrNotConnected
	}
	id := g.lanes[int(slot)%len(g.lanes)]
	if c.conns[id].state != up {
		return 0, driver.ErrNotConnected
	}
	return id, nil
}

// Send queues a message; its completion will come by its slot. An error means that nothing was queued. See driver.Producer.
func (c *Client) Send(now time.Duration, slot uint32, m *driver.Message) error {
	c.now = now
	queue := m.Queue
	if queue == driver.AnyQueue {
		queue = c.next
		if c.next++; int(c.next) == c.cfg.Queues {
			c.next = 0
		}
		queue = c.Choose(now, queue)
	}
	id, err := c.place(slot, queue)
	if err != nil {
		return err
	}
	t := &c.templates[queue]
	if len(t.head)+len(m.Body) > remoting.FrameBytesMax {
		return driver.ErrTooLarge
	}
	o := c.start(now, slot, send, queue, id, c.cfg.Timeout)
	c.born.at(c.cfg.WallMS, now)
	k := &c.conns[id]
	from := len(k.out)
	k.out = t.append(k.out, c.cfg.Form, o.opaque, &c.born, c.cfg.RunID, m.Value, m.Body)
	o.position = k.queue(from)
	return nil
}

// Poll queues a pull of up to limit messages of a queue from a queue offset on. Errors as Send.
func (c *Client) Poll(now time.Duration, slot uint32, queue int32, offset int64, limit int) error {
	c.now = now
	id, err := c.source(slot, queue)
	if err != nil {
		return err
	}
	o := c.start(now, slot, pull, queue, id, c.cfg.Timeout+c.cfg.Hold)
	o.from = offset
	k := &c.conns[id]
	header := remoting.PullHeader{
		ConsumerGroup: []byte(c.cfg.ConsumerGroup), Topic: []byte(c.cfg.Topic), QueueID: c.queueID(queue), QueueOffset: offset,
		MaxMsgNums: int32(limit), SysFlag: remoting.PullSubscription, Subscription: []byte("*"), ExpressionType: []byte("TAG"),
		SuspendTimeoutMS: c.cfg.Hold.Milliseconds(),
	}
	if header.SuspendTimeoutMS > 0 {
		header.SysFlag |= remoting.PullSuspend
	}
	from := len(k.out)
	w := c.begin(k, remoting.RequestPullMessage, o.opaque)
	header.Append(&w)
	k.out = w.Finish(nil)
	o.position = k.queue(from)
	return nil
}

// Polled returns the result of a poll that completed OK, valid until slot is used again.
func (c *Client) Polled(slot uint32) *driver.Polled { return &c.polled[slot] }

// Commit queues the storing of a group's next queue offset to consume. Errors as Send.
func (c *Client) Commit(now time.Duration, slot uint32, queue int32, offset int64) error {
	c.now = now
	id, err := c.place(slot, queue)
	if err != nil {
		return err
	}
	o := c.start(now, slot, commit, queue, id, c.cfg.Timeout)
	k := &c.conns[id]
	header := remoting.ConsumerOffsetHeader{
		ConsumerGroup: []byte(c.cfg.ConsumerGroup), Topic: []byte(c.cfg.Topic), QueueID: c.queueID(queue), CommitOffset: offset,
	}
	from := len(k.out)
	w := c.begin(k, remoting.RequestUpdateConsumerOffset, o.opaque)
	header.Append(&w, remoting.RequestUpdateConsumerOffset)
	k.out = w.Finish(nil)
	o.position = k.queue(from)
	return nil
}

// queueID returns the number of a queue within its group.
func (c *Client) queueID(queue int32) int32 { return queue - c.templates[queue].group*c.each }

// begin starts a request frame behind k's output.
func (c *Client) begin(k *conn, code, opaque int32) remoting.Writer {
	return remoting.Begin(k.out, &remoting.Frame{
		Code: code, Opaque: opaque, Version: remoting.Version, Language: remoting.Go, Form: c.cfg.Form,
	})
}

// nextOpaque returns a request id for what is no operation.
func (c *Client) nextOpaque() int32 {
	c.opaque = (c.opaque + 1) & (opaqueBase - 1)
	return c.opaque
}

// sendHeartbeat tells the broker at the other end of connection id who is here. Its answer is not waited for.
func (c *Client) sendHeartbeat(id int) {
	k := &c.conns[id]
	if k.state != up || k.nameServer {
		return
	}
	from := len(k.out)
	w := c.begin(k, remoting.RequestHeartBeat, c.nextOpaque())
	k.out = w.Finish(c.beat)
	k.queue(from)
}

// heartbeatBody returns the body of a heartbeat.
func heartbeatBody(cfg Config) []byte {
	h := remoting.Heartbeat{ClientID: cfg.ClientID}
	if cfg.ConsumerGroup == "" {
		h.Producers = []string{cfg.ProducerGroup}
	} else {
		h.Consumers = []remoting.ConsumerData{{
			Group: cfg.ConsumerGroup, Type: remoting.ConsumeActively, Model: remoting.Clustering, FromWhere: "CONSUME_FROM_FIRST_OFFSET",
			Subscriptions: []remoting.Subscription{{Topic: cfg.Topic, Expression: "*", ExpressionType: "TAG"}},
		}}
	}
	return h.Append(nil)
}
