package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"holdfast/nemesis/network/rule"
)

// listenerLog notes what an end is told.
type listenerLog struct {
	got  strings.Builder
	gone int
}

func (l *listenerLog) received(_ *end, b []byte) { l.got.Write(b) }
func (l *listenerLog) hungUp(*end)               { l.gone++ }

// joined is a connection from host a to host b.
func joined(t *testing.T) (l *loop, w *wire, near, far *end, atNear, atFar *listenerLog) {
	t.Helper()
	l = newLoop(1)
	w = newWire(l, []string{"a", "b"}, [2]time.Duration{100 * time.Microsecond, 300 * time.Microsecond})
	atNear, atFar = &listenerLog{}, &listenerLog{}
	to := netip.AddrPortFrom(w.hosts[1].addr, 9)
	w.listens[to] = &listener{host: w.hosts[1], accept: func(e *end) bool { e.owner, far = atFar, e; return true }}
	w.dial(w.hosts[0], atNear, to, func() bool { return false }, func(e *end) { near = e })
	wait(t, l, 10*time.Millisecond)
	if near == nil || far == nil {
		t.Fatal("not connected")
	}
	return l, w, near, far, atNear, atFar
}

func wait(t *testing.T, l *loop, d time.Duration) {
	t.Helper()
	if err := l.pump(t.Context(), l.now+d, nil); err != nil {
		t.Fatal(err)
	}
}

func say(e *end, words ...string) {
	for _, word := range words {
		e.send([]byte(word))
	}
}

func TestBytesKeepTheirOrder(t *testing.T) {
	l, w, near, _, _, atFar := joined(t)
	clear := w.set([]rule.Rule{{Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond}})
	say(near, "one ", "two ", "three ", "four")
	near.close()
	wait(t, l, time.Second)
	if atFar.got.String() != "one two three four" || atFar.gone != 1 {
		t.Errorf("got %q, hung up %d times", atFar.got.String(), atFar.gone)
	}
	if packets := clear(); packets == 0 {
		t.Error("the rule met no packet")
	}
}

func TestAPartitionLetsBytesWait(t *testing.T) {
	l, w, near, far, atNear, atFar := joined(t)
	clear := w.set([]rule.Rule{{From: []string{"a"}, To: []string{"b"}, Drop: true}})
	say(near, "lost?")
	say(far, "the other way")
	wait(t, l, 10*time.Second)
	if atFar.got.Len() > 0 || atNear.got.String() != "the other way" || atFar.gone+atNear.gone > 0 {
		t.Errorf("cut: b got %q, a got %q", atFar.got.String(), atNear.got.String())
	}
	if clear() == 0 {
		t.Error("the rule met no packet")
	}
	wait(t, l, retryMax+time.Second)
	if atFar.got.String() != "lost?" {
		t.Errorf("healed: b got %q", atFar.got.String())
	}
}

// TestADarkHostSaysNothing: its peer learns by what it sends itself, when the host has booted and knows nothing of the connection.
func TestADarkHostSaysNothing(t *testing.T) {
	l, w, near, _, atNear, atFar := joined(t)
	w.blackout(w.hosts[1])
	say(near, "anybody?")
	wait(t, l, time.Minute)
	if atNear.gone > 0 || atFar.got.Len() > 0 {
		t.Errorf("dark: hung up %d times, b got %q", atNear.gone, atFar.got.String())
	}
	w.boot(w.hosts[1])
	wait(t, l, retryMax+time.Second)
	if atNear.gone != 1 || atFar.got.Len() > 0 {
		t.Errorf("booted: hung up %d times, b got %q", atNear.gone, atFar.got.String())
	}
}

// TestWhatAnEarlierProcessSentIsDiscarded once another has begun on its host.
func TestWhatAnEarlierProcessSentIsDiscarded(t *testing.T) {
	l, w, near, _, _, atFar := joined(t)
	w.set([]rule.Rule{{Delay: time.Second}})
	say(near, "late")
	near.close()
	w.hosts[0].life++
	wait(t, l, 5*time.Second)
	if atFar.got.Len() > 0 || atFar.gone != 1 {
		t.Errorf("got %q, hung up %d times; want the end alone", atFar.got.String(), atFar.gone)
	}
}
