package client

import (
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// Received takes bytes that came on connection id and returns how many of them were whole frames; the rest must come
// again, in front of what follows. An error means that the stream is lost: the connection was given up (see Actions).
func (c *Client) Received(now time.Duration, id int, b []byte) (int, error) {
	c.now = now
	c.conns[id].heard = now
	taken := 0
	f := &c.frame
	for c.conns[id].state == up {
		n, alike, _, err := c.conns[id].reader.Decode(b[taken:], f, &c.sent, nil)
		if err != nil {
			c.drop(id)
			return taken, err
		}
		if n == 0 {
			return taken, nil
		}
		taken += n
		if f.IsResponse() { // a broker's own requests ask nothing that a load would answer
			c.reply(id, f, alike)
		}
	}
	return len(b), nil
}

// reply takes one response; parsed: if it answers a send, its header is in c.sent.
func (c *Client) reply(id int, f *remoting.Frame, parsed bool) {
	if f.Opaque < opaqueBase {
		if c.conns[id].nameServer && f.Opaque == c.ns.opaque {
			c.routeReply(f)
		}
		return
	}
	slot := f.Opaque & (1<<c.slotBits - 1)
	if int(slot) >= len(c.ops) {
		return
	}
	o := &c.ops[slot]
	if o.kind == none || o.opaque != f.Opaque || o.conn != id {
		return // the answer to an operation that has timed out
	}
	switch o.kind {
	case send:
		c.sendReply(slot, f, parsed)
	case pull:
		c.pullReply(slot, f)
	case commit:
		c.commitReply(slot, f)
	}
}

func (c *Client) sendReply(slot int32, f *remoting.Frame, parsed bool) {
	kind, status := classify(f.Code, f.Remark, c.cfg.Quorum)
	if kind == driver.OK {
		if !parsed {
			_, err := c.conns[c.ops[slot].conn].reader.Parse(f, &c.sent, nil)
			parsed = err == nil
		}
		if !parsed || c.sent.QueueID != c.queueID(c.ops[slot].queue) {
			c.finish(slot, driver.Info, driver.ErrMalformed) // stored, but nobody knows where
			return
		}
	}
	c.avoid(c.ops[slot].queue, kind)
	done := c.complete(slot)
	done.Kind, done.Status = kind, status
	if kind == driver.OK {
		done.Offset = c.sent.QueueOffset
		return
	}
	done.Err = c.errs.of(f.Code, f.Remark)
}

func (c *Client) commitReply(slot int32, f *remoting.Frame) {
	if f.Code == remoting.ResponseSuccess {
		c.finish(slot, driver.OK, nil)
		return
	}
	c.finish(slot, driver.Fail, c.errs.of(f.Code, f.Remark))
}

func (c *Client) pullReply(slot int32, f *remoting.Frame) {
	if classifyPoll(f.Code) == driver.Fail {
		c.sources[c.ops[slot].queue] = 0
		c.finish(slot, driver.Fail, c.errs.of(f.Code, f.Remark))
		return
	}
	p := &c.polled[slot]
	var err error
	*p, err = DecodePull(f, c.ops[slot].from, c.queueID(c.ops[slot].queue), c.cfg.RunID, p.Msgs[:0])
	if err != nil {
		c.finish(slot, driver.Info, driver.ErrMalformed)
		return
	}
	c.suggested(c.ops[slot].queue, p.Suggested)
	done := c.complete(slot)
	done.Kind, done.Offset = driver.OK, p.Next
}

// foreignValue marks the values of messages of other runs: no operation ever sends such a value.
const foreignValue = 1 << 62

// DecodePull returns what the reply to a pull brought; msgs is extended for the messages. runID is that of Config. It errs
// when the header or a record is malformed: what stands in a log may be corrupt, what stands in a frame may not.
func DecodePull(f *remoting.Frame, from int64, queueID int32, runID uint64, msgs []driver.Received) (driver.Polled, error) {
	var r remoting.PullReply
	p := driver.Polled{From: from, Msgs: msgs, Moved: f.Code == remoting.ResponsePullOffsetMoved}
	if err := remoting.ParsePullReply(f.Ext, &r); err != nil {
		return p, err
	}
	p.Next, p.End, p.Suggested = r.NextBeginOffset, r.MaxOffset, r.SuggestWhichBrokerID
	if f.Code != remoting.ResponseSuccess {
		return p, nil
	}
	var record message.Record
	for b := f.Body; len(b) > 0; {
		n, err := message.DecodeInto(&record, b, false)
		if err != nil {
			return p, err
		}
		b = b[n:]
		m := driver.Received{Offset: record.QueueOffset}
		run, value, ok := driver.DecodeBody(record.Body)
		m.Value, m.Corrupt = value, !ok || record.QueueID != queueID
		if run != runID {
			m.Value |= foreignValue
		}
		p.Msgs = append(p.Msgs, m)
		// The broker looks at the end before it collects the messages, so that a growing queue may bring more than the end says.
		// Source: DefaultMessageStore.getMessage (RocketMQ 4.9.7).
		p.End = max(p.End, m.Offset+1)
	}
	return p, nil
}
