package client

import (
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

type connState uint8

const (
	idle    connState = iota // not connected; to be dialled at retryAt if wanted
	dialing                  // a Dial was asked for
	up
)

// never is an instant that does not come.
const never = time.Duration(1 << 62)

// conn is one connection, or the wish for one. Its place in Client.conns is its number for ever.
type conn struct {
	address    string
	node       string
	lane       int
	nameServer bool
	wanted     bool
	state      connState
	until      time.Duration // idle: when to dial; dialing: when to give up
	heard      time.Duration // when bytes came last
	pending    int           // operations under way on it
	retired    bool          // never dialled again; its place may be used for another

	reader  remoting.Reader[remoting.SendReply]
	out     []byte // bytes for the peer; out[:head] are written
	head    int
	written int64 // bytes written since it is up. Invariant: written <= queued
	queued  int64 // bytes put into out since it is up
}

// due returns when the connection needs a Wake.
func (k *conn) due() time.Duration {
	if k.state == dialing || k.state == idle && k.wanted {
		return k.until
	}
	return never
}

// connTo returns the number of the connection of that address and lane, and wants it.
func (c *Client) connTo(address string, lane int, nameServer bool) int {
	for i := range c.conns {
		k := &c.conns[i]
		if k.address == address && k.lane == lane && k.nameServer == nameServer && !k.retired {
			if !k.wanted {
				k.wanted = true
				k.until = max(k.until, c.now)
				c.timer = c.now
			}
			return i
		}
	}
	return c.newConn(address, lane, nameServer)
}

// newConn returns the number of a new connection, in the place of one that nobody needs any more if there is any.
func (c *Client) newConn(address string, lane int, nameServer bool) int {
	c.timer = c.now
	fresh := conn{reader: remoting.NewSendReplyReader(), address: address, node: c.cfg.NodeName(address), lane: lane, nameServer: nameServer, wanted: true, until: c.now}
	for i := range c.conns {
		if k := &c.conns[i]; k.retired && k.state == idle && k.pending == 0 {
			fresh.out = k.out[:0]
			*k = fresh
			return i
		}
	}
	c.conns = append(c.conns, fresh)
	return len(c.conns) - 1
}

// replace gives the operations to come another connection to the same peer, and leaves id to those under way: its peer
// is silent, perhaps gone without a word, perhaps only paused.
func (c *Client) replace(id int) {
	k := &c.conns[id]
	k.retired = true
	fresh := c.newConn(k.address, k.lane, false)
	for g := range c.groups {
		for i, lane := range c.groups[g].lanes {
			if lane == id {
				c.groups[g].lanes[i] = fresh
			}
		}
	}
	c.release(id)
}

// release says that no new operation will use connection id; it goes when the last operation on it is done.
func (c *Client) release(id int) {
	k := &c.conns[id]
	k.wanted = false
	if k.pending == 0 {
		c.drop(id)
	}
}

// drop closes connection id from this side.
func (c *Client) drop(id int) {
	k := &c.conns[id]
	if k.state == idle {
		return
	}
	c.actions = append(c.actions, Action{Kind: Drop, Conn: id})
	c.lost(id)
}

// Abandon drops every connection to a node: it is known that nothing comes from there any more.
func (c *Client) Abandon(now time.Duration, node string) {
	c.now = now
	for id := range c.conns {
		if k := &c.conns[id]; k.node == node && !k.nameServer {
			c.drop(id)
		}
	}
}

// wakeConn dials a wanted connection, or gives up one that does not come up.
func (c *Client) wakeConn(id int) {
	k := &c.conns[id]
	if k.due() > c.now {
		return
	}
	if k.state == dialing {
		c.drop(id)
		return
	}
	k.state, k.until = dialing, c.now+DialTimeout
	c.actions = append(c.actions, Action{Kind: Dial, Conn: id, Address: k.address})
}

// Opened says that connection id is up.
func (c *Client) Opened(now time.Duration, id int) {
	c.now = now
	k := &c.conns[id]
	if k.state != dialing {
		return
	}
	k.state, k.heard = up, now
	k.out, k.head, k.written, k.queued = k.out[:0], 0, 0, 0
	c.timer = now
	if !k.wanted {
		c.release(id)
		return
	}
	c.sendHeartbeat(id)
}

// Closed says that connection id was closed by the peer, broke, or could not be made.
func (c *Client) Closed(now time.Duration, id int) {
	c.now = now
	if c.conns[id].state == idle {
		return
	}
	c.lost(id)
}

// lost ends connection id: what was under way on it is decided by whether its first byte had left.
func (c *Client) lost(id int) {
	k := &c.conns[id]
	wasUp := k.state == up
	k.state, k.until = idle, c.now+c.cfg.DialBackoff
	c.timer = c.now
	if k.nameServer {
		c.routeLost()
		return
	}
	c.unsuggested(id)
	if k.wanted {
		c.ns.at = min(c.ns.at, c.now) // the master may be elsewhere now
	}
	if !wasUp || k.pending == 0 {
		return
	}
	for slot := c.first; slot >= 0; {
		o := &c.ops[slot]
		next := o.next
		if o.conn == id {
			if o.position >= k.written {
				c.finish(slot, driver.Fail, driver.ErrNotConnected)
			} else {
				c.finish(slot, driver.Info, driver.ErrClosed)
			}
		}
		slot = next
	}
}

// Output returns the bytes that connection id waits to write, valid until the next call of any method but Wrote.
func (c *Client) Output(id int) []byte {
	k := &c.conns[id]
	if k.state != up {
		return nil
	}
	return k.out[k.head:]
}

// Wrote says that the first n bytes of Output were handed to the socket.
func (c *Client) Wrote(id, n int) {
	k := &c.conns[id]
	k.head += n
	k.written += int64(n)
	switch {
	case k.head == len(k.out):
		k.out, k.head = k.out[:0], 0
	case k.head > 1<<20: // a peer that reads slowly: do not let the written part pile up
		k.out = k.out[:copy(k.out, k.out[k.head:])]
		k.head = 0
	}
}

// queue records that the frame behind k.out[from:] was put there, and returns its place in the stream.
func (k *conn) queue(from int) int64 {
	position := k.queued
	k.queued += int64(len(k.out) - from)
	return position
}
