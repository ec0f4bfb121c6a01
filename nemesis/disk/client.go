package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
	"holdfast/nemesis/power"
)

// ErrClosed is returned by calls of a client whose server has gone.
var ErrClosed = errors.New("disk: the disk process has ended")

// Config says how a disk process serves.
type Config struct {
	// BackingSync is "none" (default: durability is modelled, no fsync reaches the backing file system) or "real" (each
	// fsync is an fdatasync of the backing file before its reply, so that its latency is a disk's).
	BackingSync string
	// Names says when names are durable; vfs.Ext4 by default.
	Names vfs.NamesModel
	// Power is the line on which Cut takes the nodes' outlets, shared with the packet switch; nil: none. The caller keeps it.
	Power *power.Line
	// Stderr receives the server's complaints; nil: this process's standard error.
	Stderr io.Writer
}

// Validate names the field that is out of range.
func (c Config) Validate() error {
	switch c.BackingSync {
	case "", "none", "real":
		return nil
	}
	return fmt.Errorf("disk: BackingSync %q: want none or real", c.BackingSync)
}

// Client controls one disk process. It is safe for concurrent use.
type Client struct {
	cmd    *exec.Cmd
	conn   *os.File
	exited chan struct{}
	names  vfs.NamesModel

	mu      sync.Mutex
	enc     *json.Encoder
	nextID  uint64
	waiting map[uint64]chan reply
	dead    bool
}

// Start starts a disk process. It ends by Close, when ctx ends, or when this process dies in any way: its end of the
// control socket closes then, and it unmounts what it had mounted.
func Start(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("disk: socket pair: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // else Close would wait for the reader
		return nil, fmt.Errorf("disk: socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "disk-control"), os.NewFile(uintptr(fds[1]), "disk-control")
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"holdfast-disk"}
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleEnv+"="+roleServer, syncEnv+"="+cfg.BackingSync, namesEnv+"="+strconv.Itoa(int(cfg.Names)))
	cmd.ExtraFiles = []*os.File{theirs}
	if cfg.Power != nil {
		cmd.Env = append(cmd.Env, powerEnv+"=1")
		cmd.ExtraFiles = append(cmd.ExtraFiles, cfg.Power.File())
	}
	cmd.Stderr = cfg.Stderr
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	// A process group of its own: an interrupt from the terminal is the runner's to handle, which needs the disk for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("disk: start the disk process: %w", err)
	}
	c := &Client{cmd: cmd, conn: ours, exited: make(chan struct{}), names: cfg.Names, enc: json.NewEncoder(ours), waiting: map[uint64]chan reply{}}
	go c.receive()
	go func() { // cmd.Wait's error is of no use: callers see ErrClosed, and Close asks for the end
		_ = cmd.Wait()
		close(c.exited)
	}()
	context.AfterFunc(ctx, func() { c.conn.Close() })
	if err := c.call(ctx, opPing, nil, nil, nil); err != nil {
		c.Close()
		return nil, fmt.Errorf("disk: the disk process does not answer (does main call disk.Main first?): %w", err)
	}
	return c, nil
}

// receive hands each reply to its caller until the server is gone.
func (c *Client) receive() {
	dec := json.NewDecoder(c.conn)
	for {
		var r reply
		if err := dec.Decode(&r); err != nil {
			break
		}
		c.mu.Lock()
		ch := c.waiting[r.ID]
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		if ch != nil {
			ch <- r
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for id, ch := range c.waiting {
		delete(c.waiting, id)
		close(ch)
	}
}

// send writes a request and returns the channel of its reply.
func (c *Client) send(op string, nodes []string, arg any) (uint64, chan reply, error) {
	raw, err := json.Marshal(arg)
	if err != nil {
		return 0, nil, fmt.Errorf("disk: %s: %w", op, err)
	}
	ch := make(chan reply, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return 0, nil, ErrClosed
	}
	c.nextID++
	c.waiting[c.nextID] = ch
	if err := c.enc.Encode(request{ID: c.nextID, Op: op, Nodes: nodes, Arg: raw}); err != nil {
		delete(c.waiting, c.nextID)
		return 0, nil, fmt.Errorf("disk: %s: %w", op, ErrClosed)
	}
	return c.nextID, ch, nil
}

// call sends a request and waits for its reply, which it stores in result unless that is nil.
func (c *Client) call(ctx context.Context, op string, nodes []string, arg, result any) error {
	id, ch, err := c.send(op, nodes, arg)
	if err != nil {
		return err
	}
	select {
	case r, ok := <-ch:
		if !ok {
			return ErrClosed
		}
		if r.Error != "" {
			return fmt.Errorf("disk: %s: %s", op, r.Error)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		if op == opWait {
			_, _, _ = c.send(opWaitCancel, nil, waitCancelArg{ID: id})
		}
		return ctx.Err()
	}
}

// PID returns the process id of the disk process.
func (c *Client) PID() int { return c.cmd.Process.Pid }

// Close unmounts every volume, by force where a process still holds it, and ends the disk process.
func (c *Client) Close() error {
	c.conn.Close()
	select {
	case <-c.exited:
		return nil
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
		return errors.New("disk: the disk process did not end by itself and was killed")
	}
}

// Mount serves backingDir at mountPoint as node's disk; both are made when missing, absolute, and not within each other.
// What the backing directory holds already is durable. outlet is the node's on the power line of Config; -1: none.
func (c *Client) Mount(node, backingDir, mountPoint string, outlet int) error {
	arg := mountArg{Backing: backingDir, MountPoint: mountPoint, Outlet: outlet}
	return c.call(context.Background(), opMount, []string{node}, arg, nil)
}

// Cut cuts the power of the nodes' disks at one instant, which it returns: what was durable before it stays, and no
// change after it is applied or acknowledged: the calls are held until Release and then fail with EIO. The nodes' outlets
// on the power line lose their power in the same instant.
func (c *Client) Cut(nodes ...string) (time.Time, error) {
	var mono int64
	if err := c.call(context.Background(), opCut, nodes, nil, &mono); err != nil {
		return time.Time{}, err
	}
	return instant(mono), nil
}

// Release lets the calls go that a cut holds. Call it only after SIGKILL was sent to every process of the nodes: a
// thread that returns from a released call then dies before it can act on the answer.
func (c *Client) Release(nodes ...string) error {
	return c.call(context.Background(), opRelease, nodes, nil, nil)
}

// Detach unmounts the node's volume. After a cut its state is kept for Survive; without one everything becomes durable,
// as unmounting does. It errs when a process still has a file open or mapped there.
func (c *Client) Detach(node string) error {
	return c.call(context.Background(), opDetach, []string{node}, nil, nil)
}

// Survive chooses, by seed and loss, what a cut leaves of a detached volume, and makes the backing directory that.
func (c *Client) Survive(node string, seed uint64, loss vfs.Loss) (Impact, error) {
	var impact Impact
	err := c.call(context.Background(), opSurvive, []string{node}, surviveArg{Seed: seed, Loss: loss}, &impact)
	return impact, err
}

// Remount mounts a detached volume anew, with an empty page cache. It gives no outlet its power back: see Restore.
func (c *Client) Remount(node string) error {
	return c.call(context.Background(), opRemount, []string{node}, nil, nil)
}

// Restore gives the nodes' outlets on the power line their power back. Call it when the disks are mounted anew and what
// the network still held for the nodes is gone, before the nodes start.
func (c *Client) Restore(nodes ...string) error {
	return c.call(context.Background(), opRestore, nodes, nil, nil)
}

// Erase empties a detached node's disk, as a new one: the fault disk-lost. It returns the files and bytes removed.
func (c *Client) Erase(node string) (Impact, error) {
	var impact Impact
	err := c.call(context.Background(), opErase, []string{node}, nil, &impact)
	return impact, err
}

// Remove unmounts the node's volume, by force if need be, and forgets it. The backing directory stays as it is.
func (c *Client) Remove(node string) error {
	return c.call(context.Background(), opForget, []string{node}, nil, nil)
}

// Stats returns the state of node's volume.
func (c *Client) Stats(node string) (Stats, error) {
	var w statsWire
	if err := c.call(context.Background(), opStats, []string{node}, nil, &w); err != nil {
		return Stats{}, err
	}
	w.Stats.LastSync = w.Last.sync()
	return w.Stats, nil
}

// LastSync returns the last completed fsync of a file whose path begins with prefix, nil if there was none yet.
func (c *Client) LastSync(node, prefix string) (*Sync, error) {
	var w *syncWire
	if err := c.call(context.Background(), opLast, []string{node}, waitArg{Prefix: prefix}, &w); err != nil {
		return nil, err
	}
	return w.sync(), nil
}

// WaitSync waits until an fsync with Seq > after of a file whose path begins with prefix has succeeded, and returns the
// first such: at once if it has happened within the last 1,024. With after = 0 it waits for the next from now on.
func (c *Client) WaitSync(ctx context.Context, node, prefix string, after uint64) (*Sync, error) {
	var w *syncWire
	if err := c.call(ctx, opWait, []string{node}, waitArg{Prefix: prefix, After: after}, &w); err != nil {
		return nil, err
	}
	return w.sync(), nil
}

// SetFault sets what is wrong with the node's disk, and replaces what was set of its kind. It lasts until Clear, over cuts
// and mounts.
func (c *Client) SetFault(node string, s FaultSpec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return c.call(context.Background(), opFault, []string{node}, s, nil)
}

// Affected returns what a fault has struck since it was set. It errs when none of the kind is set.
func (c *Client) Affected(node string, kind nemesis.Kind) (Affected, error) {
	var a Affected
	err := c.call(context.Background(), opAffected, []string{node}, clearArg{Kind: kind}, &a)
	return a, err
}

// Clear ends a fault and returns what it has struck. It errs when none of the kind is set.
func (c *Client) Clear(node string, kind nemesis.Kind) (Affected, error) {
	var a Affected
	err := c.call(context.Background(), opAffected, []string{node}, clearArg{Kind: kind, End: true}, &a)
	return a, err
}

// FlipBits flips as many different bits of the files whose path begins with prefix, drawn by seed from the bytes that an
// fsync had covered (after a detachment without a cut: from all), and says which. The disk must be detached, and what a
// cut leaves of it chosen. It errs when there are not as many; pages of nothing but zeroes do not count.
func (c *Client) FlipBits(node, prefix string, bits int, seed uint64) ([]Flip, error) {
	var flips []Flip
	err := c.call(context.Background(), opFlip, []string{node}, flipArg{Prefix: prefix, Bits: bits, Seed: seed}, &flips)
	return flips, err
}
