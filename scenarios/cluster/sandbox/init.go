package sandbox

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// runInit is PID 1 of a sandbox: it makes it ready, starts the inner process, reaps whatever ends, and ends with the
// inner process, upon which the kernel kills what is left.
func runInit() int {
	ready := os.NewFile(readyFD, "ready")
	unix.CloseOnExec(readyFD)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, relayed...)
	if err := furnish(); err != nil {
		fmt.Fprint(ready, err)
		return 1
	}
	env := append(withoutRole(os.Environ()), roleEnv+"="+roleInside)
	inner, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Env: env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		fmt.Fprintf(ready, "start the inner process: %v", err)
		return 1
	}
	ready.Close()
	pid := inner.Pid
	go func() {
		for s := range signals {
			_ = syscall.Kill(pid, s.(syscall.Signal)) // it may have ended just now
		}
	}()
	return reap(pid)
}

// reap waits for children, adopted orphans among them, until the process pid has ended, and returns its exit code.
func reap(pid int) int {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 1
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal())
		case ended == pid:
			return status.ExitStatus()
		}
	}
}

func withoutRole(env []string) []string {
	var kept []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, roleEnv+"=") {
			kept = append(kept, kv)
		}
	}
	return kept
}

// furnish makes fresh namespaces usable: mounts that do not propagate, a /proc of the new process table, a loopback
// interface that is up.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return loopbackUp()
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}
