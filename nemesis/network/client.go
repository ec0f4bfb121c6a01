package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"holdfast/nemesis/power"
)

// ErrClosed is returned by calls of a client whose switch has gone.
var ErrClosed = errors.New("network: the switch has ended")

// Config says how a switch works.
type Config struct {
	// RTT is the base round trip time between any two hosts, half of it each way; 0: as fast as it goes.
	// What the switch itself needs comes on top: some 30 us without a base, some 80 us with one, whose timers wake late.
	RTT time.Duration
	// Seed is mixed into the seed of every rule.
	Seed uint64
	// Power is the line that supplies the hosts; nil: they always have power. It remains the caller's.
	Power *power.Line
	// Stderr receives the switch's complaints; nil: this process's standard error.
	Stderr io.Writer
}

// Validate names the field that is out of range.
func (c Config) Validate() error {
	if c.RTT < 0 || c.RTT > time.Minute {
		return fmt.Errorf("network: RTT %v: want 0 to 1m", c.RTT)
	}
	return nil
}

// Client controls one switch process. It is safe for concurrent use.
type Client struct {
	cmd    *exec.Cmd
	conn   *net.UnixConn
	seed   uint64
	exited chan struct{}

	mu sync.Mutex // one request at a time
}

// Start starts a switch in the network namespace of the caller. It ends by Close, when ctx ends, or when this process
// dies in any way: its end of the control socket closes then. The devices go with it, and the namespaces with the last
// process in them.
func Start(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"holdfast-network"}
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleEnv+"="+roleServer, rttEnv+"="+strconv.FormatInt(int64(cfg.RTT), 10))
	cmd.ExtraFiles = []*os.File{theirs}
	if cfg.Power != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, cfg.Power.File())
		cmd.Env = append(cmd.Env, powerEnv+"=1")
	}
	cmd.Stderr = cfg.Stderr
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	// A process group of its own: an interrupt from the terminal is the runner's to handle, which needs the network for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("network: start the switch: %w", err)
	}
	c := &Client{cmd: cmd, conn: ours, seed: cfg.Seed, exited: make(chan struct{})}
	go func() { // cmd.Wait's error is of no use: callers see ErrClosed, and Close asks for the end
		_ = cmd.Wait()
		close(c.exited)
	}()
	context.AfterFunc(ctx, func() { c.conn.Close() })
	if _, _, err := c.call(request{Op: opPing}); err != nil {
		c.Close()
		return nil, fmt.Errorf("network: the switch does not answer (does main call network.Main first?): %w", err)
	}
	return c, nil
}

// call sends a request and waits for its reply.
func (c *Client) call(r request) (reply, *os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := sendValue(c.conn, r, nil); err != nil {
		return reply{}, nil, fmt.Errorf("network: %s: %w", r.Op, ErrClosed)
	}
	var a reply
	file, err := receiveValue(c.conn, &a)
	if err != nil {
		return reply{}, nil, fmt.Errorf("network: %s: %w", r.Op, ErrClosed)
	}
	if a.Error != "" {
		return a, file, fmt.Errorf("network: %s: %s", r.Op, a.Error)
	}
	return a, file, nil
}

// PID returns the process id of the switch.
func (c *Client) PID() int { return c.cmd.Process.Pid }

// Close ends the switch: no packet passes any more, and the devices are gone.
func (c *Client) Close() error {
	c.conn.Close()
	select {
	case <-c.exited:
		return nil
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
		return errors.New("network: the switch did not end by itself and was killed")
	}
}

// AddHost makes a network namespace with lo and one TUN device that is up, has the IPv4 address addr, and leads to the
// whole subnet of addr. It returns the namespace, to be closed by the caller, for setns by whoever starts the host's
// processes. outlet is where the host is plugged in at the power line, in [0, power.Outlets); -1: it never loses power.
func (c *Client) AddHost(name string, addr netip.Prefix, outlet int) (netns *os.File, err error) {
	_, netns, err = c.call(request{Op: opHost, Host: name, Addr: addr, Outlet: outlet})
	return netns, err
}

// AddLocal attaches the network namespace in which Start was called as a host, by one more TUN device. It never loses
// power.
func (c *Client) AddLocal(name string, addr netip.Prefix) error {
	_, _, err := c.call(request{Op: opLocal, Host: name, Addr: addr, Outlet: -1})
	return err
}

// Remove takes a host away: its device is gone, its name and address are free. Rules that name it stay.
func (c *Client) Remove(name string) error {
	_, _, err := c.call(request{Op: opRemove, Host: name})
	return err
}

// Renew gives a host of AddHost a new namespace under its old address, and discards what is queued for it or from it: a
// machine that has booted knows no connections and answers their packets with RST. The old namespace loses its device
// and goes with the last process in it.
func (c *Client) Renew(name string) (*os.File, error) {
	_, netns, err := c.call(request{Op: opRenew, Host: name})
	return netns, err
}

// Discard throws away the packets that are queued for a host or from it, in the switch and in its device, and says how
// many they were.
func (c *Client) Discard(name string) (packets int64, err error) {
	a, _, err := c.call(request{Op: opDiscard, Host: name})
	return a.Packets, err
}

// Set puts a rule in force: it meets every packet that is sent after Set returned. Rules apply in the order in which they
// were set. It errs when the rule is not valid or names a host that there is not.
func (c *Client) Set(r Rule) (RuleID, error) {
	r.Seed ^= c.seed
	a, _, err := c.call(request{Op: opSet, Rule: &r})
	return a.ID, err
}

// Clear ends a rule and returns what it did. The packets that it held go now, in order; those that it delayed when they
// are due, and what is sent later does not overtake them.
func (c *Client) Clear(id RuleID) (Counters, error) {
	a, _, err := c.call(request{Op: opClear, ID: id})
	if err != nil {
		return Counters{}, err
	}
	return *a.Counters, nil
}

// Counters returns what a rule in force has done so far.
func (c *Client) Counters(id RuleID) (Counters, error) {
	a, _, err := c.call(request{Op: opCounters, ID: id})
	if err != nil {
		return Counters{}, err
	}
	return *a.Counters, nil
}

// Stats returns what the switch has done so far.
func (c *Client) Stats() (Stats, error) {
	a, _, err := c.call(request{Op: opStats})
	if err != nil {
		return Stats{}, err
	}
	return *a.Stats, nil
}
