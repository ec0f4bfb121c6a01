package rocketmq

import (
	"context"
	"fmt"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq/client"
)

// readGroup is the consumer group of complete reads. It commits nothing.
const readGroup = "holdfast-read"

// ReadReplica implements driver.Admin: pulls from the node itself, whatever the route says, until it reports no more.
func (a admin) ReadReplica(ctx context.Context, node, queue string, from int64) (driver.ReplicaRead, error) {
	topic, queueID, err := parseQueue(queue)
	if err != nil {
		return driver.ReplicaRead{}, err
	}
	k, err := a.callNode(ctx, node)
	if err != nil {
		return driver.ReplicaRead{}, err
	}
	defer k.Close()
	r := replicaReader{call: k, sleep: a.s.cfg.World.Sleep, topic: topic, queueID: queueID, runID: a.s.cfg.RunID, next: from}
	for !r.complete {
		if err := r.pull(ctx); err != nil {
			return driver.ReplicaRead{}, err
		}
		if r.stood > standMax {
			return driver.ReplicaRead{}, fmt.Errorf("%w: %s of %s stands at %d below its end %d", driver.ErrUnavailable, queue, node, r.next, r.read.End)
		}
	}
	return r.read, nil
}

// replicaReader is one complete read under way.
type replicaReader struct {
	call     *call
	sleep    func(context.Context, time.Duration) error
	topic    string
	queueID  int32
	runID    uint64
	next     int64 // queue offset to read next
	stood    int   // pulls in a row that brought nothing
	complete bool
	read     driver.ReplicaRead
}

// pull reads on, as far as one answer goes.
func (r *replicaReader) pull(ctx context.Context) error {
	header := remoting.PullHeader{
		ConsumerGroup: []byte(readGroup), Topic: []byte(r.topic), QueueID: r.queueID, QueueOffset: r.next,
		MaxMsgNums: readBatch, SysFlag: remoting.PullSubscription, Subscription: []byte("*"), ExpressionType: []byte("TAG"),
	}
	f, err := r.call.ask(ctx, remoting.RequestPullMessage, header.Append)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	switch f.Code {
	case remoting.ResponseSuccess, remoting.ResponsePullNotFound, remoting.ResponsePullRetryImmediately, remoting.ResponsePullOffsetMoved:
	default:
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, refusal(remoting.RequestPullMessage, f))
	}
	var reply remoting.PullReply
	if err := remoting.ParsePullReply(f.Ext, &reply); err != nil {
		return err
	}
	p, err := client.DecodePull(f, r.next, r.queueID, r.runID, r.read.Msgs)
	if err != nil {
		return err
	}
	r.take(&p, reply.MinOffset)
	if r.complete || r.stood == 0 {
		return nil
	}
	return r.sleep(ctx, standPause)
}

// take adds what one pull brought, and decides whether the read is complete.
func (r *replicaReader) take(p *driver.Polled, first int64) {
	got := len(p.Msgs) - len(r.read.Msgs)
	r.read.Msgs, r.read.End = p.Msgs, p.End
	before := r.next
	switch {
	case got > 0:
		r.next = max(p.Next, p.Msgs[len(p.Msgs)-1].Offset+1)
	case r.next < first: // expired: begin where the node begins
		r.next, r.read.First = first, first
	case p.Next > r.next && p.Next <= p.End: // offsets without a message: the checker will see the hole
		r.next = p.Next
	}
	r.complete = r.next >= p.End
	if r.stood++; r.next > before {
		r.stood = 0
	}
}
