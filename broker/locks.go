package broker

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"holdfast/broker/remoting"
)

// queueLock says which client of a group consumes a queue in order.
type queueLock struct {
	group  string
	queue  remoting.MessageQueue
	client string
	until  time.Duration
}

// lockTable is the locks by group and queue. They are neither saved nor replicated, as in RocketMQ.
type lockTable struct{ locks []queueLock }

func compareLock(a, b *queueLock) int {
	return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.queue.Topic, b.queue.Topic), cmp.Compare(a.queue.BrokerName, b.queue.BrokerName), cmp.Compare(a.queue.QueueID, b.queue.QueueID))
}

func (t *lockTable) find(l *queueLock) (int, bool) {
	return slices.BinarySearchFunc(t.locks, l, func(e queueLock, l *queueLock) int { return compareLock(&e, l) })
}

// take gives the lock to l's client, unless another one holds it and has not let it expire.
func (t *lockTable) take(l queueLock, now time.Duration, limit int) bool {
	at, found := t.find(&l)
	if !found {
		if len(t.locks) >= limit {
			return false
		}
		t.locks = slices.Insert(t.locks, at, l)
		return true
	}
	if e := &t.locks[at]; e.client == l.client || e.until <= now {
		*e = l
		return true
	}
	return false
}

func (t *lockTable) release(l queueLock) {
	if at, found := t.find(&l); found && t.locks[at].client == l.client {
		t.locks = slices.Delete(t.locks, at, at+1)
	}
}

// expire forgets the locks that nobody renewed, so that the table does not grow.
func (t *lockTable) expire(now time.Duration) {
	t.locks = slices.DeleteFunc(t.locks, func(l queueLock) bool { return l.until <= now })
}

// lockBatch serves LOCK_BATCH_MQ and UNLOCK_BATCH_MQ. Source: RebalanceLockManager (RocketMQ 5.3.3).
func (n *Node) lockBatch(c ConnID, f *remoting.Frame, out *Output) {
	b, err := remoting.ParseLockBatch(f.Body)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	if limit := n.cfg.Limits.LocksAtOnce; len(b.Queues) > limit {
		n.refuse(c, f, remoting.ResponseSystemError, fmt.Sprintf("%d queues; %d are allowed at once", len(b.Queues), limit), out)
		return
	}
	var held []remoting.MessageQueue
	for _, q := range b.Queues {
		l := queueLock{group: b.ConsumerGroup, queue: q, client: b.ClientID, until: n.now.Mono + n.cfg.LockLife}
		if f.Code == remoting.RequestUnlockBatchMQ {
			n.locks.release(l)
		} else if n.locks.take(l, n.now.Mono, n.cfg.Limits.Locks) {
			held = append(held, q)
		}
	}
	if f.Code == remoting.RequestUnlockBatchMQ {
		n.ok(c, f, nil, out)
		return
	}
	n.ok(c, f, remoting.AppendLocked(nil, held), out)
}
