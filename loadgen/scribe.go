package loadgen

import (
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// scribe writes the operations of one worker into its shard of the history. Names are interned once.
type scribe struct {
	rec    *history.Recorder
	shard  *history.Shard
	event  history.Event // used for every record, so that a record sets only what differs
	queues []history.Sym // by queue number
	status [driver.Statuses]history.Sym
	nodes  []nodeSym
	errs   map[error]history.Sym
}

type nodeSym struct {
	name string
	sym  history.Sym
}

func newScribe(rec *history.Recorder, process int32) (*scribe, error) {
	shard, err := rec.Shard(process)
	if err != nil {
		return nil, err
	}
	s := &scribe{rec: rec, shard: shard, errs: map[error]history.Sym{}}
	s.event = history.Event{P: process, F: history.Send, Offset: -1, From: -1, End: -1, Epoch: -1}
	for i := range s.status {
		s.status[i] = rec.Sym(driver.Status(i).String())
	}
	return s, nil
}

// invokeSend records that o begins.
func (s *scribe) invokeSend(o *op, queueName func(int32) string) {
	o.id = s.shard.NextOp()
	e := &s.event
	e.Type, e.T, e.At, e.Op, e.Value = history.Invoke, int64(o.sent), int64(o.intended), o.id, o.value
	e.Queue, e.Node, e.Status, e.Error, e.Offset, e.Retry = 0, 0, 0, 0, -1, o.retry
	if o.queue >= 0 {
		e.Queue = s.queue(o.queue, queueName)
	}
	s.shard.Record(e)
}

// completeSend records the outcome of o.
func (s *scribe) completeSend(o *op, c *driver.Completion, now time.Duration, queueName func(int32) string) {
	e := &s.event
	e.Type, e.T, e.At, e.Op, e.Value = typeOf(c.Kind), int64(now), int64(now), o.id, o.value
	e.Queue, e.Node, e.Status, e.Error, e.Offset = 0, s.node(c.Node), s.status[c.Status], 0, -1
	e.Retry = o.retry
	switch {
	case c.Kind == driver.OK:
		e.Queue, e.Offset = s.queue(c.Queue, queueName), c.Offset
	case o.queue >= 0:
		e.Queue = s.queue(o.queue, queueName)
	}
	if c.Err != nil {
		e.Error = s.err(c.Err)
	}
	s.shard.Record(e)
}

func typeOf(k driver.Kind) history.Type {
	switch k {
	case driver.OK:
		return history.OK
	case driver.Fail:
		return history.Fail
	}
	return history.Info
}

func (s *scribe) queue(n int32, name func(int32) string) history.Sym {
	for int(n) >= len(s.queues) {
		s.queues = append(s.queues, s.rec.Sym(name(int32(len(s.queues)))))
	}
	return s.queues[n]
}

func (s *scribe) node(name string) history.Sym {
	for i := range s.nodes {
		if s.nodes[i].name == name {
			return s.nodes[i].sym
		}
	}
	sym := s.rec.Sym(name)
	s.nodes = append(s.nodes, nodeSym{name, sym})
	return sym
}

func (s *scribe) err(err error) history.Sym {
	sym, ok := s.errs[err]
	if !ok {
		sym = s.rec.Sym(err.Error())
		s.errs[err] = sym
	}
	return sym
}
