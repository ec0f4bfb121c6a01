package soak

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// crew is the members of all groups: processes that join, leave and crash.
type crew struct {
	cfg     Config
	namesrv string
	streams []*stream
	rng     *rand.Rand

	mu      sync.Mutex // guards what follows
	members []*member
	named   int
	ended   bool
	n       Tally
}

// member is one process.
type member struct {
	s       *stream
	cmd     *exec.Cmd
	stdin   io.Closer
	leaving bool          // it was told to
	gone    chan struct{} // closed when its output has been read and it has ended
}

// Tally is what members did.
type Tally struct {
	Joined  int `json:"joined"`
	Left    int `json:"left"`    // told to leave
	Crashed int `json:"crashed"` // killed by SIGKILL
	Died    int `json:"died"`    // ended by themselves
}

func (t Tally) String() string {
	return fmt.Sprintf("members: %d joined, %d left, %d crashed, %d died", t.Joined, t.Left, t.Crashed, t.Died)
}

// Members of a group.
const (
	membersStart = 2
	membersMax   = 4
	churnMin     = 3 * time.Second
	churnMax     = 12 * time.Second
	leaveLimit   = 15 * time.Second
)

func newCrew(cfg Config, namesrv string, streams []*stream) *crew {
	for _, s := range streams {
		s.ledger = newLedger(s.queues, s.ordered)
	}
	return &crew{cfg: cfg, namesrv: namesrv, streams: streams, rng: rand.New(rand.NewPCG(cfg.Seed, 2))}
}

// muster starts the first members.
func (c *crew) muster(ctx context.Context) error {
	for _, s := range c.streams {
		for range membersStart {
			if err := c.join(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// churn has members join, leave and crash until ctx ends; then every group has members, and nobody is on the way out.
func (c *crew) churn(ctx context.Context) error {
	spread := min(max(c.cfg.between()/4, churnMin), churnMax)
	for {
		wait := spread/2 + time.Duration(c.rng.Int64N(int64(spread)))
		if pause(ctx, wait) != nil {
			return nil
		}
		s := c.streams[c.rng.IntN(len(c.streams))]
		present := c.present(s)
		var err error
		switch act := c.rng.IntN(4); {
		case len(present) < membersStart || act < 2 && len(present) < membersMax:
			err = c.join(ctx, s)
		case act%2 == 0:
			c.leave(present[c.rng.IntN(len(present))])
		default:
			c.crash(present[c.rng.IntN(len(present))])
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// present lists the members of a group that are to stay.
func (c *crew) present(s *stream) []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*member
	for _, m := range c.members {
		if m.s == s && !m.leaving {
			all = append(all, m)
		}
	}
	return all
}

// join starts a member.
func (c *crew) join(ctx context.Context, s *stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || ctx.Err() != nil {
		return ctx.Err()
	}
	c.named++
	number := c.named
	args := append(append([]string(nil), c.cfg.Member[1:]...), "-namesrv", c.namesrv, "-group", s.group, "-topic", s.topic, "-name", fmt.Sprintf("m%d", number))
	if s.ordered {
		args = append(args, "-ordered")
	}
	m := &member{s: s, cmd: exec.Command(c.cfg.Member[0], args...), gone: make(chan struct{})}
	log, err := os.OpenFile(filepath.Join(c.cfg.Out, "members.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	m.cmd.Stderr = log
	stdin, err := m.cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("start a member of %s: %w", s.group, err)
	}
	m.stdin = stdin
	c.members = append(c.members, m)
	c.n.Joined++
	go c.listen(m, number, stdout)
	return nil
}

// listen reads what a member was given until it has gone.
func (c *crew) listen(m *member, number int, stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		d := delivery{member: number}
		if n, err := fmt.Sscanf(lines.Text(), "got %d %d %d", &d.queue, &d.offset, &d.at); n == 3 && err == nil {
			m.s.ledger.add(d)
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // nothing is left but where a line was too long
	_ = m.cmd.Wait()                   // how it ended shows in leaving
	c.mu.Lock()
	defer c.mu.Unlock()
	if !m.leaving {
		c.n.Died++
	}
	for i, other := range c.members {
		if other == m {
			c.members = append(c.members[:i], c.members[i+1:]...)
			break
		}
	}
	close(m.gone)
}

// leave asks a member to leave; one that does not within a while is killed.
func (c *crew) leave(m *member) {
	c.part(m, syscall.SIGTERM, &c.n.Left)
	time.AfterFunc(leaveLimit, func() {
		select {
		case <-m.gone:
		default:
			_ = m.cmd.Process.Kill() // it may have gone meanwhile
		}
	})
}

// crash kills a member.
func (c *crew) crash(m *member) { c.part(m, syscall.SIGKILL, &c.n.Crashed) }

func (c *crew) part(m *member, signal os.Signal, count *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.leaving {
		return
	}
	m.leaving = true
	*count++
	if err := m.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.cfg.Say(fmt.Sprintf("a member of %s: %v", m.s.group, err))
	}
}

// tally returns what members did so far.
func (c *crew) tally() Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// end kills whoever is left and returns when all have gone and what they printed has been taken. A second call does nothing.
func (c *crew) end() {
	c.mu.Lock()
	c.ended = true
	left := append([]*member(nil), c.members...)
	for _, m := range left {
		m.leaving = true
		_ = m.cmd.Process.Kill() // it may have gone by itself
	}
	c.mu.Unlock()
	for _, m := range left {
		<-m.gone
	}
}
