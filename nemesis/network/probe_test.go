package network

import (
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// probes are numbered UDP packets of one host, and when they arrived at another.
type probes struct {
	r        *rig
	from, to *net.UDPConn
	sent     []time.Time

	mu      sync.Mutex
	changed *sync.Cond
	arrived []arrival
	seen    map[uint32]bool
	err     error
}

type arrival struct {
	number uint32
	at     time.Time
}

// fence is the number of a probe that says that all before it have arrived or will not.
const fence = ^uint32(0)

func newProbes(r *rig, from, to string) *probes {
	p := &probes{r: r, from: r.udp(from), to: r.udp(to), seen: map[uint32]bool{}}
	p.changed = sync.NewCond(&p.mu)
	go p.receive(p.to)
	return p
}

func (p *probes) receive(at *net.UDPConn) {
	b := make([]byte, 2048)
	for {
		_, err := at.Read(b)
		p.mu.Lock()
		if p.err = err; err == nil {
			n := binary.BigEndian.Uint32(b)
			p.arrived = append(p.arrived, arrival{n, time.Now()})
			p.seen[n] = true
		}
		p.changed.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// send sends one probe of 100 bytes.
func (p *probes) send(number uint32) {
	p.r.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, number)
	if _, err := p.from.WriteTo(append(b, make([]byte, 96)...), p.to.LocalAddr()); err != nil {
		p.r.t.Fatal(err)
	}
}

// probeBytes is the length of a probe as the switch sees it.
const probeBytes = 100 + 8 + 20

// burst sends n probes, as fast as the receiver's buffer allows, under a rule of which it counts those that were dropped.
func (p *probes) burst(n int, id RuleID) {
	p.r.t.Helper()
	const window = 100 // packets that a receive buffer of the default size surely holds
	for i := range n {
		p.sent = append(p.sent, time.Now())
		p.send(uint32(i))
		if i%window == window-1 || i == n-1 {
			eventually(p.r.t, func() bool {
				c, err := p.r.c.Counters(id)
				if err != nil {
					p.r.t.Fatal(err)
				}
				return int64(p.distinct())+c.Dropped >= int64(i+1)
			})
		}
	}
}

func (p *probes) distinct() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// until waits until the probe of that number has arrived, and returns what arrived before it.
func (p *probes) until(number uint32) []arrival {
	p.r.t.Helper()
	timer := time.AfterFunc(patience, func() { p.to.Close() })
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.seen[number] {
		if p.err != nil {
			p.r.t.Fatalf("probe %d has not arrived within %v", number, patience)
		}
		p.changed.Wait()
	}
	i := slices.IndexFunc(p.arrived, func(a arrival) bool { return a.number == number })
	return slices.Clone(p.arrived[:i])
}

// finish sends a fence and returns what arrived before it.
func (p *probes) finish() []arrival {
	p.r.t.Helper()
	p.send(fence)
	return p.until(fence)
}

func numbers(as []arrival) []uint32 {
	ns := make([]uint32, len(as))
	for i, a := range as {
		ns[i] = a.number
	}
	return ns
}

// eventually waits until what must become true by itself is true.
func eventually(t testing.TB, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !true(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not true within %v", patience)
		}
	}
}
