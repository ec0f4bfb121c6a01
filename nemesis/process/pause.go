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

// Paused is a process that stands still, with what it started.
type Paused struct {
	p     Process
	since time.Time
}

// Pause stops p and its process group by SIGSTOP and returns when every thread of every process of it has been seen stopped.
func Pause(ctx context.Context, p Process) (*Paused, error) {
	if !Alive(p) {
		return nil, ErrGone
	}
	if err := signal(p, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	for {
		still, err := stopped(p.PID())
		if err != nil {
			return nil, err
		}
		if still {
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

// Resume continues the process and returns for how long all of it stood still, from when its last thread had stopped: 0 when it
// had ended meanwhile or something else had continued any of it.
func (s *Paused) Resume() (time.Duration, error) {
	still, err := stopped(s.p.PID())
	stood := time.Since(s.since)
	if err := signal(s.p, syscall.SIGCONT); err != nil {
		return 0, err
	}
	if err != nil || !still {
		return 0, nil
	}
	return stood, nil
}

// stopped reports whether pid stands still and, when it heads a process group, all of that. It errs with ErrGone when pid has
// ended.
func stopped(pid int) (bool, error) {
	still, err := threadsStopped(pid)
	if err != nil || !still {
		return false, err
	}
	for _, member := range group(pid) {
		still, err := threadsStopped(member)
		if errors.Is(err, ErrGone) {
			continue // it has ended meanwhile
		}
		if err != nil || !still {
			return false, err
		}
	}
	return true, nil
}

// group returns the processes of the group that pid heads, without pid; none when it heads none.
func group(pid int) (members []int) {
	if head, err := syscall.Getpgid(pid); err != nil || head != pid {
		return nil
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil // only of a malformed pattern
	}
	for _, dir := range all {
		member, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || member == pid {
			continue
		}
		if head, err := syscall.Getpgid(member); err == nil && head == pid {
			members = append(members, member)
		}
	}
	return members
}

// threadsStopped reports whether every thread of pid is stopped, as /proc says. It errs with ErrGone when none is left.
func threadsStopped(pid int) (bool, error) {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil {
		return false, err
	}
	left := 0
	for _, path := range threads {
		state, err := state(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || state == 'Z' || state == 'X' {
			continue // a thread that has ended
		}
		if err != nil {
			return false, err
		}
		if left++; state != 'T' {
			return false, nil
		}
	}
	if left == 0 {
		return false, ErrGone
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
