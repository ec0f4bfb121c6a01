package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrGone is returned when a process to be paused has ended.
var ErrGone = errors.New("process: it has ended")

const stopPoll = 200 * time.Microsecond

// Paused is a process that stands still.
type Paused struct {
	p     Process
	since time.Time
}

// Pause stops p by SIGSTOP and returns when every thread of it has been seen stopped.
func Pause(ctx context.Context, p Process) (*Paused, error) {
	if err := signal(p, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	for {
		stopped, err := stopped(p.PID())
		if err != nil {
			return nil, err
		}
		if stopped {
			return &Paused{p, time.Now()}, nil
		}
		select {
		case <-p.Done():
			return nil, ErrGone
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("process: %d does not stop: %w", p.PID(), ctx.Err()), signal(p, syscall.SIGCONT))
		case <-tick.C:
		}
	}
}

// Resume continues the process and returns for how long it stood still: 0 when it had ended meanwhile or something else
// had continued it.
func (s *Paused) Resume() (time.Duration, error) {
	still, err := stopped(s.p.PID())
	if err := signal(s.p, syscall.SIGCONT); err != nil {
		return 0, err
	}
	if err != nil || !still {
		return 0, nil
	}
	return time.Since(s.since), nil
}

// stopped reports whether every thread of pid is stopped, as /proc says.
func stopped(pid int) (bool, error) {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil || len(threads) == 0 {
		return false, ErrGone
	}
	for _, path := range threads {
		state, err := state(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that has ended meanwhile
		}
		if err != nil {
			return false, err
		}
		if state != 'T' {
			return false, nil
		}
	}
	return true, nil
}

// zombie reports whether pid has ended and waits to be waited for, or is no more.
func zombie(pid int) bool {
	state, err := state("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || state == 'Z' || state == 'X'
}

// state returns the state letter of a stat file of /proc.
func state(path string) (byte, error) {
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	i := bytes.LastIndexByte(stat, ')') // the name before it may hold anything
	if i < 0 || i+2 >= len(stat) {
		return 0, fmt.Errorf("process: %s: %q", path, stat)
	}
	return stat[i+2], nil
}
