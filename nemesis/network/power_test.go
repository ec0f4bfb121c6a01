package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/nemesis/power"
)

// TestPower holds that a host without power neither sends nor receives, that what was on its way to it is lost, and that
// others do not notice.
func TestPower(t *testing.T) {
	r := newRig(t, Config{}, "a", "b", "c")
	ab, ba, ac := newProbes(r, "a", "b"), newProbes(r, "b", "a"), newProbes(r, "a", "c")
	for _, p := range []*probes{ab, ba, ac} {
		p.send(1)
		p.until(1)
	}
	id := r.set(Rule{From: []string{"a"}, To: []string{"b"}, Delay: 20 * time.Millisecond})
	ab.send(2) // in the queue when the cut comes
	eventually(t, func() bool { c, err := r.c.Counters(id); return err == nil && c.Delayed == 1 })
	r.line.Cut(power.Mask(1))
	ab.send(3)
	ba.send(3)
	ac.send(3)
	ac.until(3)
	eventually(t, func() bool { s, err := r.c.Stats(); return err == nil && s.PowerDrops == 3 })
	r.line.Restore(power.Mask(1))
	r.clear(id)
	for _, p := range []*probes{ab, ba, ac} {
		p.finish()
	}
	if ab.distinct() != 2 || ba.distinct() != 2 || ac.distinct() != 3 {
		t.Errorf("%d, %d, %d probes arrived, want 2, 2, 3", ab.distinct(), ba.distinct(), ac.distinct())
	}
}

// TestRenew holds that a renewed host has the same address, answers packets of old connections with RST, and never sees
// what was queued for it.
func TestRenew(t *testing.T) {
	r := newRig(t, Config{}, "a", "b")
	from, to := r.tcp("a", "b")
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p := newProbes(r, "a", "b")
	id := r.set(Rule{From: []string{"a"}, Clog: true}) // the other way b may still acknowledge the byte
	p.send(1)
	eventually(t, func() bool { c, err := r.c.Counters(id); return err == nil && c.Held == 1 })
	ns, err := r.c.Renew("b")
	if err != nil {
		t.Fatal(err)
	}
	r.spaces["b"].Close()
	r.spaces["b"] = ns
	port := p.to.LocalAddr().(*net.UDPAddr)
	r.in("b", func() (err error) { p.to, err = net.ListenUDP("udp4", port); return err })
	defer p.to.Close()
	go p.receive(p.to)
	r.clear(id)
	if got := p.finish(); len(got) != 0 {
		t.Errorf("the renewed host received %v, which was queued for the old one", got)
	}
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := from.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the renewal: got %v, want a reset connection", err)
	}
}

// TestDiscard holds that what is queued for a host and from it is gone, and just that.
func TestDiscard(t *testing.T) {
	r := newRig(t, Config{}, "a", "b", "c")
	ab, ba, ca := newProbes(r, "a", "b"), newProbes(r, "b", "a"), newProbes(r, "c", "a")
	id := r.set(Rule{Clog: true})
	for _, p := range []*probes{ab, ba, ca} {
		p.send(1)
	}
	eventually(t, func() bool { c, err := r.c.Counters(id); return err == nil && c.Held == 3 })
	if n, err := r.c.Discard("b"); err != nil || n != 2 {
		t.Errorf("discarded %d, %v; want 2", n, err)
	}
	r.clear(id)
	ca.until(1)
	for _, p := range []*probes{ab, ba} {
		if got := p.finish(); len(got) != 0 {
			t.Errorf("%v arrived, want nothing", got)
		}
	}
}

// TestTwoSwitches holds that two switches at once, with hosts of the same names and addresses and a device each in the
// tests' own namespace, do not disturb each other.
func TestTwoSwitches(t *testing.T) {
	rigs := []*rig{newRig(t, Config{}, "a", "b"), newRig(t, Config{}, "a", "b")}
	for i, r := range rigs {
		local, node := netip.AddrFrom4([4]byte{10, 1, byte(i), 1}), netip.AddrFrom4([4]byte{10, 1, byte(i), 2})
		if err := r.c.AddLocal("clients", netip.PrefixFrom(local, 24)); err != nil {
			t.Fatal(err)
		}
		ns, err := r.c.AddHost("node", netip.PrefixFrom(node, 24), -1)
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		server, err := listenWithin(ns, node)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client := r.udpHere(local)
		defer client.Close()
		text := strings.Repeat("x", i+1)
		if err := selfTestSend(client, server, text); err != nil {
			t.Fatal(err)
		}
		if err := selfTestReceive(server, text); err != nil {
			t.Error(err)
		}
	}
	id := rigs[0].set(Rule{Drop: true})
	rigs[1].line.Cut(power.Mask(2)) // nobody's outlet here
	p := newProbes(rigs[1], "a", "b")
	p.send(1)
	p.until(1)
	if c := rigs[0].clear(id); c.Matched != 0 {
		t.Errorf("a switch saw a packet of the other one: %+v", c)
	}
	for i, r := range rigs {
		if err := SelfTest(context.Background(), r.c); err != nil {
			t.Errorf("switch %d: %v", i, err)
		}
	}
}

// TestSelfTest holds that it passes twice and leaves nothing, and that it notices a switch that carries nothing and one
// that has ended.
func TestSelfTest(t *testing.T) {
	r := newRig(t, Config{RTT: 2 * time.Millisecond})
	for range 2 {
		if err := SelfTest(context.Background(), r.c); err != nil {
			t.Fatal(err)
		}
	}
	r.set(Rule{Drop: true})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := SelfTest(ctx, r.c); err == nil || !strings.Contains(err.Error(), "first packet did not arrive") {
		t.Errorf("every packet dropped: got %v", err)
	}
	if err := r.c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := SelfTest(context.Background(), r.c); !errors.Is(err, ErrClosed) {
		t.Errorf("no switch: got %v", err)
	}
}

// TestInterrupted holds that the signals of a terminal do not end the switch.
func TestInterrupted(t *testing.T) {
	r := newRig(t, Config{})
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(r.c.PID(), sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := SelfTest(context.Background(), r.c); err != nil {
		t.Error(err)
	}
}

// TestRefused holds that orders about hosts, addresses and rules that make no sense are errors and change nothing.
func TestRefused(t *testing.T) {
	r := newRig(t, Config{}, "a", "b")
	add := func(name, addr string, outlet int) error {
		ns, err := r.c.AddHost(name, netip.MustParsePrefix(addr), outlet)
		if err == nil {
			ns.Close()
		}
		return err
	}
	_, setUnknown := r.c.Set(Rule{From: []string{"z"}, Drop: true})
	_, setNothing := r.c.Set(Rule{From: []string{"a"}})
	_, clearNone := r.c.Clear(77)
	_, countNone := r.c.Counters(77)
	_, renewNone := r.c.Renew("z")
	_, discardNone := r.c.Discard("z")
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"a name taken", add("a", "10.0.0.9/24", -1), "already"},
		{"an address taken", add("z", "10.0.0.1/24", -1), "already"},
		{"IPv6", add("z", "fd00::1/64", -1), "IPv4"},
		{"no subnet", add("z", "10.0.0.9/32", -1), "subnet"},
		{"an outlet too high", add("z", "10.0.0.9/24", power.Outlets), "outlet"},
		{"no name", add("", "10.0.0.9/24", -1), "name"},
		{"a rule about an unknown host", setUnknown, "no host"},
		{"a rule that does nothing", setNothing, "nothing"},
		{"the end of an unknown rule", clearNone, "no rule"},
		{"counters of an unknown rule", countNone, "no rule"},
		{"a new namespace for an unknown host", renewNone, "no host"},
		{"packets of an unknown host", discardNone, "no host"},
		{"an unknown host removed", r.c.Remove("z"), "no host"},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error about %q", tt.name, tt.err, tt.want)
		}
	}
	if err := add("c", "10.0.0.9/24", 3); err != nil {
		t.Error(err)
	}
}
