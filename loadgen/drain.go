package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// Drain describes the complete reads after a load: what each replica holds when nothing changes any more.
type Drain struct {
	Admin    driver.Admin
	Recorder *history.Recorder
	Process  int32                                            // client in the history
	Nodes    []string                                         // replicas to read, by node name
	Queues   []string                                         // by their names in the history
	Retry    time.Duration                                    // pause before a failed read is tried again; default 200 ms
	Sleep    func(ctx context.Context, d time.Duration) error // default: by the machine's clock
}

// Run reads every queue of every node twice, from the first offset that the node still holds to the end that it
// reports, and records each read. A broker may still index what it stored last, so a queue whose end has moved is read until
// two reads agree. A read that fails is recorded as failed and tried again until ctx ends; then the error names what has no
// two complete reads, and a history without them has no verdict but inconclusive.
func (d Drain) Run(ctx context.Context) error {
	shard, err := d.Recorder.Shard(d.Process)
	if err != nil {
		return err
	}
	var missing error
	for _, node := range d.Nodes {
		ends := make([]int64, len(d.Queues)) // that the first reads saw
		for pass := range 2 {
			for i, queue := range d.Queues {
				end, err := d.read(ctx, shard, node, queue)
				for err == nil && pass > 0 && end != ends[i] {
					ends[i] = end
					if err = d.pause(ctx); err == nil {
						end, err = d.read(ctx, shard, node, queue)
					}
				}
				if ends[i] = end; err != nil {
					missing = errors.Join(missing, fmt.Errorf("read %s of node %s: %w", queue, node, err))
				}
			}
		}
	}
	return missing
}

// read reads one queue of one node, again and again until it succeeds or ctx ends, and returns the end that it saw.
func (d Drain) read(ctx context.Context, shard *history.Shard, node, queue string) (end int64, err error) {
	for {
		end, err := d.attempt(ctx, shard, node, queue)
		if err == nil {
			return end, nil
		}
		if d.pause(ctx) != nil {
			return 0, err
		}
	}
}

func (d Drain) pause(ctx context.Context) error {
	retry := orDefault(d.Retry, 200*time.Millisecond)
	if d.Sleep != nil {
		return d.Sleep(ctx, retry)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(retry):
		return nil
	}
}

// attempt reads once and records the read.
func (d Drain) attempt(ctx context.Context, shard *history.Shard, node, queue string) (end int64, err error) {
	now := d.Recorder.Now()
	e := history.Event{
		T: now, At: now, Op: shard.NextOp(), P: d.Process, Type: history.Invoke, F: history.Read,
		Queue: d.Recorder.Sym(queue), Node: d.Recorder.Sym(node), Offset: -1, From: 0, End: -1, Epoch: -1,
	}
	shard.Record(&e)
	read, err := d.Admin.ReadReplica(ctx, node, queue, 0)
	e.T = d.Recorder.Now()
	e.At = e.T
	if err != nil {
		e.Type, e.Error = history.Fail, d.Recorder.Sym(err.Error())
		shard.Record(&e)
		return 0, err
	}
	e.Type, e.First, e.End = history.OK, read.First, read.End
	e.Msgs = make([]history.Msg, len(read.Msgs))
	for i, m := range read.Msgs {
		e.Msgs[i] = history.Msg(m)
	}
	shard.Record(&e)
	return read.End, nil
}
