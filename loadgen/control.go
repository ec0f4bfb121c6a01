package loadgen

import (
	"sync/atomic"
	"time"

	"holdfast/loadgen/driver"
)

// Control is what a running worker is told, and what it tells while it runs. The worker looks at it between batches, so
// that an operation costs no shared write. Fields are set by one side and read by the other.
type Control struct {
	stop atomic.Int64 // on Env's clock: no operation is started any more; 0: go on
	mark atomic.Int64 // on Env's clock: operations intended before are not measured
	rest atomic.Bool  // what is due is left out
	parting

	sent, failed, unknown atomic.Int64
	acked                 [driver.Statuses]atomic.Int64
}

// Stop ends the worker at time now, which must be above 0: outcomes that are outstanding are waited for.
func (c *Control) Stop(now time.Duration) { c.stop.Store(max(int64(now), 1)) }

// Mark begins a new measured window at time now: what happened before is in no figure but the live counters.
func (c *Control) Mark(now time.Duration) { c.mark.Store(int64(now)) }

// Quiet has an open loop leave out what is due from now on, or start again with what is due then. A closed loop does not stand still.
func (c *Control) Quiet(on bool) { c.rest.Store(on) }

// parting tells a worker of a node that it is to give up on.
type parting struct{ gone atomic.Pointer[string] } // nil: none, or done

// Abandon has the worker give up on a node that cannot answer any more, such as one without power: what is under way there
// is completed at once, as unknown. One node at a time: a second call within the time of a Wait replaces the first.
func (p *parting) Abandon(node string) { p.gone.Store(&node) }

// obey gives up on that node, if connections can.
func (p *parting) obey(connections any) {
	if node := p.gone.Swap(nil); node != nil {
		if a, can := connections.(driver.Abandoner); can {
			a.Abandon(*node)
		}
	}
}

// counts are numbers of operations.
type counts struct {
	sent, failed, unknown int64
	acked                 [driver.Statuses]int64
}

// ackedTotal returns the acknowledged operations of all statuses.
func (c *counts) ackedTotal() int64 {
	sum := int64(0)
	for _, n := range c.acked {
		sum += n
	}
	return sum
}

// plus adds other.
func (c *counts) plus(other *counts) {
	c.sent += other.sent
	c.failed += other.failed
	c.unknown += other.unknown
	for i, n := range other.acked {
		c.acked[i] += n
	}
}

// tally is what a worker counts: in all, and by outcomes that came within the measured window.
type tally struct{ total, window counts }

// add counts an outcome.
func (t *tally) add(c *driver.Completion, inWindow bool) {
	count(&t.total, c)
	if inWindow {
		count(&t.window, c)
	}
}

func count(n *counts, c *driver.Completion) {
	switch c.Kind {
	case driver.OK:
		n.acked[c.Status]++
	case driver.Fail:
		n.failed++
	default:
		n.unknown++
	}
}

// publish makes the counts of all operations visible to others.
func (c *Control) publish(t *tally) {
	c.sent.Store(t.total.sent)
	c.failed.Store(t.total.failed)
	c.unknown.Store(t.total.unknown)
	for i, n := range t.total.acked {
		c.acked[i].Store(n)
	}
}

// live returns what was published last.
func (c *Control) live() counts {
	n := counts{sent: c.sent.Load(), failed: c.failed.Load(), unknown: c.unknown.Load()}
	for i := range n.acked {
		n.acked[i] = c.acked[i].Load()
	}
	return n
}
