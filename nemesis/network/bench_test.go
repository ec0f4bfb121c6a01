package network

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// path is a way between two namespaces that a benchmark measures.
type path struct {
	name     string
	from, to *os.File
	addr     netip.Addr // of to
}

// paths are the switch, and what it is measured against on the same machine in the same run.
func paths(b *testing.B) []path {
	r := newRig(b, Config{}, "a", "b")
	veth := vethPair(b)
	return []path{
		{"loopback", r.spaces["a"], r.spaces["a"], netip.MustParseAddr("127.0.0.1")},
		veth,
		{"switch", r.spaces["a"], r.spaces["b"], r.addr("b")},
	}
}

// BenchmarkThroughput sends one TCP stream over each path by turns, and reports GB/s and the switch's share of the others.
func BenchmarkThroughput(b *testing.B) {
	const bytes = 256 << 20
	rates := map[string][]float64{}
	ps := paths(b)
	for b.Loop() {
		for _, p := range ps {
			took, err := p.stream(bytes)
			if err != nil {
				b.Fatal(err)
			}
			rates[p.name] = append(rates[p.name], bytes/took.Seconds()/1e9)
		}
	}
	report(b, ps, rates, "GB/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRoundTrip sends 64 bytes there and back over each path by turns, and reports the median and what the switch
// adds to loopback.
func BenchmarkRoundTrip(b *testing.B) {
	rates := map[string][]float64{}
	ps := paths(b)
	for b.Loop() {
		for _, p := range ps {
			trips, err := p.pingPong(2000)
			if err != nil {
				b.Fatal(err)
			}
			for _, t := range trips {
				rates[p.name] = append(rates[p.name], float64(t.Nanoseconds())/1e3)
			}
		}
	}
	report(b, ps, rates, "us")
	b.ReportMetric(median(rates["switch"])-median(rates["loopback"]), "us-added")
	b.ReportMetric(0, "ns/op")
}

func report(b *testing.B, ps []path, got map[string][]float64, unit string) {
	for _, p := range ps {
		b.ReportMetric(median(got[p.name]), p.name+"-"+unit)
	}
	for _, p := range ps[:2] {
		b.ReportMetric(median(got["switch"])/median(got[p.name]), "switch/"+p.name)
	}
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// connect returns two blocking sockets that are connected over the path: Go's poller would be a part of what is measured.
func (p path) connect() (from, to int, err error) {
	var l int
	var at unix.Sockaddr
	err = within(p.to, func() error {
		if l, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err = unix.Bind(l, &unix.SockaddrInet4{Addr: p.addr.As4()}); err != nil {
			return err
		}
		if err = unix.Listen(l, 1); err != nil {
			return err
		}
		at, err = unix.Getsockname(l)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(l)
	err = within(p.from, func() error {
		if from, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Connect(from, at)
	})
	if err != nil {
		return 0, 0, err
	}
	if to, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC); err != nil {
		return 0, 0, err
	}
	for _, fd := range []int{from, to} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return 0, 0, err
		}
	}
	return from, to, nil
}

// stream sends n bytes and returns how long it took until all had arrived.
func (p path) stream(n int) (time.Duration, error) {
	from, to, err := p.connect()
	if err != nil {
		return 0, err
	}
	defer unix.Close(from)
	defer unix.Close(to)
	sent := make(chan error, 1)
	began := time.Now()
	go func() {
		runtime.LockOSThread()
		b := make([]byte, 256<<10)
		for left := n; left > 0; {
			k, err := unix.Write(from, b[:min(left, len(b))])
			if err != nil {
				sent <- err
				return
			}
			left -= k
		}
		sent <- nil
	}()
	b := make([]byte, 256<<10)
	for left := n; left > 0; {
		k, err := unix.Read(to, b)
		if err != nil || k == 0 {
			return 0, fmt.Errorf("%d bytes are missing: %v", left, err)
		}
		left -= k
	}
	return time.Since(began), <-sent
}

// pingPong returns how long each of n round trips took.
func (p path) pingPong(n int) ([]time.Duration, error) {
	from, to, err := p.connect()
	if err != nil {
		return nil, err
	}
	defer unix.Close(to)
	go func() {
		runtime.LockOSThread()
		b := make([]byte, 64)
		for {
			k, err := unix.Read(to, b)
			if err != nil || k == 0 {
				return
			}
			if _, err := unix.Write(to, b[:k]); err != nil {
				return
			}
		}
	}()
	defer unix.Close(from)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	trips := make([]time.Duration, n)
	b := make([]byte, 64)
	for i := range trips {
		began := time.Now()
		if _, err := unix.Write(from, b); err != nil {
			return nil, err
		}
		if _, err := unix.Read(from, b); err != nil {
			return nil, err
		}
		trips[i] = time.Since(began)
	}
	return trips, nil
}
