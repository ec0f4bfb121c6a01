// Package sandbox re-executes this binary into namespaces of its own: mount, PID, network and IPC namespaces, and a user
// namespace when not root. Inside there is a private process table with an init that reaps orphans, a loopback
// interface, and mounts that nobody outside sees. Nothing outlives it: when the outer process dies in any way the
// kernel kills the init, with it everything inside, and with that the mounts and devices.
//
// Three processes take part: the outer one (the command as it was called), which relays signals and the exit code; the
// init; and the inner one, the same command again, which does the work.
package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// roleEnv tells a re-executed process what it is.
const roleEnv = "HOLDFAST_SANDBOX"

const (
	roleInit   = "init"   // PID 1 of a sandbox
	roleProbe  = "probe"  // PID 1 of a sandbox that only tries whether one is possible
	roleInside = "inside" // everything else in a sandbox
)

// readyFD is where the init writes what went wrong, or nothing, before it starts the inner process.
const readyFD = 3

// Main runs this process as a sandbox's init if it was started as one: then ok is true, and code is what to exit with.
// main and TestMain call it before anything else.
func Main() (code int, ok bool) {
	switch os.Getenv(roleEnv) {
	case roleInit:
		return runInit(), true
	case roleProbe:
		return runProbe(), true
	}
	return 0, false
}

// Inside reports whether this process runs in a sandbox.
func Inside() bool { return os.Getenv(roleEnv) == roleInside }

// Impossible is the error of a machine that cannot do what the sandbox needs.
type Impossible struct {
	Reason string // what failed, with the system's own words
	Fix    string // one line: what to run or change; empty when nothing is known
}

func (e *Impossible) Error() string {
	if e.Fix == "" {
		return "not possible here: " + e.Reason
	}
	return "not possible here: " + e.Reason + " (" + e.Fix + ")"
}

// Enter runs this very command again in a sandbox and returns its exit code. The terminal passes through; signals are
// relayed; standard input, output and error are shared. It returns an *Impossible when no sandbox can be made here.
func Enter() (code int, err error) {
	if Inside() {
		return 0, errors.New("sandbox: already inside one")
	}
	// The kernel sends the init its death signal when this thread ends, so the thread must last as long as the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, relayed...)
	defer signal.Stop(signals)

	cmd, ready, err := startEither(func(cmd *exec.Cmd) {
		cmd.Args = os.Args
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}, roleInit)
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may have ended just now
			case <-done:
				return
			}
		}
	}()
	defer close(done)
	trouble, err := io.ReadAll(ready)
	if err != nil {
		return 0, fmt.Errorf("sandbox: %w", err)
	}
	waited := cmd.Wait()
	if len(trouble) > 0 {
		return 0, impossible(string(trouble))
	}
	var exit *exec.ExitError
	if errors.As(waited, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, waited
}

// relayed are the signals that the outer process passes on. The inner processes have a process group of their own, so
// that a key pressed at the terminal reaches them once.
var relayed = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// startEither starts this binary in new namespaces: without a user namespace when that is allowed, since real root can
// do a little more (larger write-back limits), else with one.
func startEither(prepare func(*exec.Cmd), role string) (*exec.Cmd, *os.File, error) {
	var errs []error
	for _, userNamespace := range []bool{false, true} {
		if !userNamespace && os.Geteuid() != 0 {
			continue
		}
		cmd, ready, err := start(prepare, role, userNamespace)
		if err == nil {
			return cmd, ready, nil
		}
		errs = append(errs, err)
	}
	last := errs[len(errs)-1]
	return nil, nil, &Impossible{Reason: "no new namespaces: " + last.Error(), Fix: namespaceFix()}
}

func start(prepare func(*exec.Cmd), role string, userNamespace bool) (*exec.Cmd, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	cmd := exec.Command("/proc/self/exe")
	prepare(cmd)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		Setpgid:    true,
		Pdeathsig:  syscall.SIGKILL,
	}
	if userNamespace {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, nil, err
	}
	return cmd, r, nil
}

// namespaceFix says which of the usual settings forbids user namespaces.
func namespaceFix() string {
	if v, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err == nil && strings.TrimSpace(string(v)) == "0" {
		return "sysctl -w user.max_user_namespaces=15000"
	}
	if v, err := os.ReadFile("/proc/sys/kernel/unprivileged_userns_clone"); err == nil && strings.TrimSpace(string(v)) == "0" {
		return "sysctl -w kernel.unprivileged_userns_clone=1"
	}
	if v, err := os.ReadFile("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); err == nil && strings.TrimSpace(string(v)) == "1" {
		return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	}
	return "run as root, in a container with --privileged or --cap-add SYS_ADMIN"
}
