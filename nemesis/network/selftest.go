package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The hosts of a self-test, in the range for benchmarks of networks (RFC 2544).
const (
	selfTestFrom = "self-test-a"
	selfTestTo   = "self-test-b"
)

var (
	selfTestFromAddr = netip.MustParsePrefix("198.18.255.1/24")
	selfTestToAddr   = netip.MustParsePrefix("198.18.255.2/24")
)

// selfTestFor bounds a self-test; it takes some 50 ms.
const selfTestFor = 5 * time.Second

// SelfTest proves, with two hosts that are gone when it returns, that the switch carries what it must and drops what it
// must: a packet passes, one under a dropping rule does not, the next one passes, and the counters say just that. The
// error names what failed.
func SelfTest(ctx context.Context, c *Client) (err error) {
	ctx, cancel := context.WithTimeout(ctx, selfTestFor)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("network: self-test: %w", err)
		}
	}()
	from, to, done, err := selfTestSockets(c)
	defer func() { err = errors.Join(err, done()) }()
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	if err := to.SetReadDeadline(deadline); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { to.Close() })()
	if err := errors.Join(selfTestSend(from, to, "first"), selfTestReceive(to, "first")); err != nil {
		return err
	}
	id, err := c.Set(Rule{From: []string{selfTestFrom}, To: []string{selfTestTo}, Drop: true})
	if err != nil {
		return err
	}
	if err := selfTestSend(from, to, "dropped"); err != nil {
		return err
	}
	for seen := (Counters{}); seen.Matched == 0; { // it is on its way to the switch
		if seen, err = c.Counters(id); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the switch has not seen a packet: %w", ctx.Err())
		}
	}
	counters, err := c.Clear(id)
	if err != nil {
		return err
	}
	if counters.Matched != 1 || counters.Dropped != 1 || counters.Affected() != 1 {
		return fmt.Errorf("one packet was dropped, and the counters are %+v", counters)
	}
	// Packets keep their order: one that had passed in spite of the rule would be read before this one.
	return errors.Join(selfTestSend(from, to, "last"), selfTestReceive(to, "last"))
}

// selfTestSockets makes the hosts and a socket in each. done takes them away, after an error, too.
func selfTestSockets(c *Client) (from, to *net.UDPConn, done func() error, err error) {
	var undo []func() error
	done = func() error {
		var errs []error
		for _, f := range undo {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	open := func(name string, addr netip.Prefix) (*net.UDPConn, error) {
		ns, err := c.AddHost(name, addr, -1)
		if err != nil {
			return nil, err
		}
		undo = append(undo, func() error { return c.Remove(name) })
		defer ns.Close()
		conn, err := listenWithin(ns, addr.Addr())
		if err == nil {
			undo = append(undo, func() error { conn.Close(); return nil }) // it may be closed already
		}
		return conn, err
	}
	if from, err = open(selfTestFrom, selfTestFromAddr); err != nil {
		return nil, nil, done, err
	}
	to, err = open(selfTestTo, selfTestToAddr)
	return from, to, done, err
}

// listenWithin returns a UDP socket of a namespace.
func listenWithin(ns *os.File, addr netip.Addr) (conn *net.UDPConn, err error) {
	err = within(ns, func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		return err
	})
	return conn, err
}

// within calls f on a thread in a network namespace, where the sockets that f makes stay.
func within(ns *os.File, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with this goroutine, and nobody else runs in the namespace
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func selfTestSend(from, to *net.UDPConn, text string) error {
	if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
		return fmt.Errorf("send the %s packet: %w", text, err)
	}
	return nil
}

func selfTestReceive(to *net.UDPConn, want string) error {
	b := make([]byte, 64)
	n, err := to.Read(b)
	if err != nil {
		return fmt.Errorf("the %s packet did not arrive: %w", want, err)
	}
	if got := string(b[:n]); got != want {
		return fmt.Errorf("the packet %q arrived, want %q", got, want)
	}
	return nil
}
