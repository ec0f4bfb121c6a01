package loadgen

import (
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// pollScribe writes the polls and commits of one consumer into its shard of the history.
type pollScribe struct {
	rec    *history.Recorder
	shard  *history.Shard
	event  history.Event // what all records have in common
	queues []history.Sym
	msgs   []history.Msg
}

func newPollScribe(rec *history.Recorder, process int32, group string, queues int, name func(int32) string) (*pollScribe, error) {
	shard, err := rec.Shard(process)
	if err != nil {
		return nil, err
	}
	s := &pollScribe{rec: rec, shard: shard, msgs: []history.Msg{}}
	s.event = history.Event{P: process, Group: rec.Sym(group), Offset: -1, From: -1, End: -1, Epoch: -1}
	for i := range queues {
		s.queues = append(s.queues, rec.Sym(name(int32(i))))
	}
	return s, nil
}

// at returns an event of an operation on a queue.
func (s *pollScribe) at(f history.F, t history.Type, id uint64, queue int32, now time.Duration) history.Event {
	e := s.event
	e.F, e.Type, e.Op, e.Queue, e.T, e.At = f, t, id, s.queues[queue], int64(now), int64(now)
	return e
}

func (s *pollScribe) invokePoll(queue int32, from int64, now time.Duration) uint64 {
	e := s.at(history.Poll, history.Invoke, s.shard.NextOp(), queue, now)
	e.From = from
	s.shard.Record(&e)
	return e.Op
}

// completePoll records the outcome of a poll; p is nil unless it is OK.
func (s *pollScribe) completePoll(id uint64, queue int32, from int64, c *driver.Completion, p *driver.Polled, now time.Duration) {
	e := s.at(history.Poll, typeOf(c.Kind), id, queue, now)
	e.From = from
	e.Node = s.rec.Sym(c.Node)
	if c.Err != nil {
		e.Error = s.rec.Sym(c.Err.Error())
	}
	if p != nil {
		s.msgs = s.msgs[:0] // never nil: an answer without messages is an answer
		for _, m := range p.Msgs {
			s.msgs = append(s.msgs, history.Msg(m))
		}
		e.Msgs, e.End = s.msgs, p.End
	}
	s.shard.Record(&e)
}

func (s *pollScribe) invokeCommit(queue int32, offset int64, now time.Duration) uint64 {
	e := s.at(history.Commit, history.Invoke, s.shard.NextOp(), queue, now)
	e.Offset = offset
	s.shard.Record(&e)
	return e.Op
}

func (s *pollScribe) completeCommit(id uint64, queue int32, offset int64, c *driver.Completion, now time.Duration) {
	e := s.at(history.Commit, typeOf(c.Kind), id, queue, now)
	e.Offset = offset
	e.Node = s.rec.Sym(c.Node)
	if c.Err != nil {
		e.Error = s.rec.Sym(c.Err.Error())
	}
	s.shard.Record(&e)
}
