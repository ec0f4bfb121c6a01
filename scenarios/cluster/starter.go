package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Command is a program to be started as a node.
type Command struct {
	Name string   // of the node
	Argv []string // the program and its arguments
	Env  []string // KEY=VALUE, beside the harness's own environment
	Dir  string   // working directory; never a mount
	Log  string   // file that receives standard output and error, appended
}

// Process is a node's running process.
type Process interface {
	PID() int
	// Signal sends sig to the process and what it started.
	Signal(sig syscall.Signal) error
	// Done is closed when the process has ended and was waited for.
	Done() <-chan struct{}
}

// Starter starts nodes. It decides where: on this machine, or in namespaces.
type Starter interface {
	Start(ctx context.Context, c Command) (Process, error)
}

// Local starts nodes as plain child processes, each in a process group of its own.
type Local struct{}

// Start starts c. The process outlives ctx: whoever starts a node stops it.
func (Local) Start(_ context.Context, c Command) (Process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &localProcess{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the starting thread ends, not the process: so the thread stays for as long as its child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in its log
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return p, nil
}

type localProcess struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func (p *localProcess) PID() int              { return p.cmd.Process.Pid }
func (p *localProcess) Done() <-chan struct{} { return p.done }

func (p *localProcess) Signal(sig syscall.Signal) error {
	return syscall.Kill(-p.cmd.Process.Pid, sig)
}
