// Package process injects the faults of real processes: it starts nodes so that they die with the harness, kills,
// pauses and resumes them, and takes their power away together with that of their disks. Every effect that it reports
// was measured: a process that was killed is one that was alive before and is gone after.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/nemesis"
)

// Process is a node's running process; every injector of this package takes it. [Start] returns one, others may bring
// their own.
type Process interface {
	PID() int
	// Signal sends sig to the process and to what it started.
	Signal(sig syscall.Signal) error
	// Done is closed when the process has ended and was waited for.
	Done() <-chan struct{}
}

// Command is a program to be started as a node.
type Command struct {
	Name string   // of the node, for errors
	Argv []string // the program and its arguments
	Env  []string // KEY=VALUE, beside the harness's own environment
	Dir  string   // working directory; "/" when empty. Never a mount: what runs there would hold it
	Log  string   // file that receives standard output and error, appended; empty: discarded
	// NetNS is the network namespace that the process starts in; nil: the harness's own. Open until Start returns.
	NetNS *os.File
}

// Started is a process started by [Start]: the head of a process group of its own, killed by the kernel when the
// harness dies.
type Started struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; valid after done
}

// Start starts c. Its end is the caller's business, by [Kill] or [Stop].
func Start(c Command) (*Started, error) {
	if len(c.Argv) == 0 {
		return nil, fmt.Errorf("process: start %s: no program", c.Name)
	}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.Log != "" {
		log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("process: start %s: %w", c.Name, err)
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
	}
	p := &Started{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go offMainThread(func() { p.run(c.NetNS, started) })
	if err := <-started; err != nil {
		return nil, fmt.Errorf("process: start %s: %w", c.Name, err)
	}
	return p, nil
}

// offMainThread runs f on a thread that is not the first of this process. A thread may be changed by f so that it must end: the
// first one cannot, and its network namespace is what /proc/PID/net shows as that of the whole process.
func offMainThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // undoes this lock alone, not those of f
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	began := make(chan struct{})
	go func() { // not on this thread, as long as that is locked to this goroutine
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		close(began)
		f()
	}()
	<-began
}

// run starts the process, says so, and waits for its end, all on one thread: the kernel sends the death signal when the thread
// that started the child ends, not the process.
func (p *Started) run(netns *os.File, started chan<- error) {
	runtime.LockOSThread()
	if netns != nil {
		// Never unlocked from here on: a thread in another namespace must not run other goroutines. It ends with this one.
		if err := unix.Setns(int(netns.Fd()), unix.CLONE_NEWNET); err != nil {
			started <- fmt.Errorf("network namespace: %w", err)
			return
		}
	} else {
		defer runtime.UnlockOSThread()
	}
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.done)
	}
}

// PID implements Process.
func (p *Started) PID() int { return p.cmd.Process.Pid }

// Done implements Process.
func (p *Started) Done() <-chan struct{} { return p.done }

// Signal implements Process: it reaches the whole process group.
func (p *Started) Signal(sig syscall.Signal) error {
	err := syscall.Kill(-p.PID(), sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// Err returns how the process ended: nil for exit code 0. It waits for the end.
func (p *Started) Err() error {
	<-p.done
	return p.err
}

// Alive reports whether p has not ended.
func Alive(p Process) bool {
	select {
	case <-p.Done():
		return false
	default:
		return !zombie(p.PID())
	}
}

// Kill ends p by SIGKILL and waits until it has gone. It returns whether it was p's end: false when p had ended before.
func Kill(ctx context.Context, p Process) (killed bool, err error) {
	if !Alive(p) {
		<-p.Done()
		return false, nil
	}
	if err := signal(p, syscall.SIGKILL); err != nil {
		return false, err
	}
	return true, wait(ctx, p)
}

// Stopped is what a graceful stop was measured to have done.
type Stopped struct {
	Ran      bool          // the process was alive before
	Graceful bool          // it ended by itself, or had ended before
	Took     time.Duration // from SIGTERM to its end
}

// Effect is the stop in the units of the history's fault lines: a process that had ended before is none.
func (s Stopped) Effect() nemesis.Impact {
	effect := nemesis.Impact{"processes": 0, "ms": s.Took.Milliseconds()}
	if s.Ran {
		effect["processes"] = 1
	}
	return effect
}

// Stop asks p to end by SIGTERM and waits for patience; then it kills it. It returns when p has gone.
func Stop(ctx context.Context, p Process, patience time.Duration) (Stopped, error) {
	if !Alive(p) {
		return Stopped{Graceful: true}, wait(ctx, p)
	}
	began := time.Now()
	if err := signal(p, syscall.SIGTERM); err != nil {
		return Stopped{}, err
	}
	gentle, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if wait(gentle, p) == nil {
		return Stopped{Ran: true, Graceful: true, Took: time.Since(began)}, nil
	}
	_, err := Kill(ctx, p)
	return Stopped{Ran: err == nil, Took: time.Since(began)}, err
}

// signal sends sig to p; that p has ended is no error.
func signal(p Process, sig syscall.Signal) error {
	err := p.Signal(sig)
	if err == nil || errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return fmt.Errorf("process: %s to %d: %w", sig, p.PID(), err)
}

// wait waits until p has gone.
func wait(ctx context.Context, p Process) error {
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("process: %d has not ended: %w", p.PID(), ctx.Err())
	}
}
