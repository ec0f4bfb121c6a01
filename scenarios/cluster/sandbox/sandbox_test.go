package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// actEnv makes the test binary a command that enters a sandbox and does something there.
const actEnv = "HOLDFAST_SANDBOX_TEST"

func TestMain(m *testing.M) {
	if code, ok := Main(); ok {
		os.Exit(code)
	}
	act := os.Getenv(actEnv)
	switch {
	case act == "":
		os.Exit(m.Run())
	case act == "sleep": // what an inner process starts
		fmt.Println("asleep")
		time.Sleep(time.Hour)
	case !Inside():
		code, err := Enter()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 99
		}
		os.Exit(code)
	}
	os.Exit(inside(act))
}

// inside is what the inner process does.
func inside(act string) int {
	switch act {
	case "describe":
		links, err := net.Interfaces()
		fmt.Println("links", len(links), links[0].Name, links[0].Flags&net.FlagUp != 0, err)
		processes, _ := filepath.Glob("/proc/[0-9]*")
		fmt.Println("processes", len(processes))
		fmt.Println("mount", unix.Mount("tmpfs", "/proc/fs", "tmpfs", 0, ""))
		l, err := net.Listen("tcp", "127.0.0.1:10911")
		fmt.Println("listen", l != nil, err)
		return 7
	case "orphans":
		// A shell that ends at once leaves its child to the init, which must reap it.
		out, err := exec.Command("/bin/sh", "-c", "sleep 0.01 & echo $!").Output()
		pid := strings.TrimSpace(string(out))
		for range 500 {
			if _, e := os.Stat("/proc/" + pid); os.IsNotExist(e) {
				fmt.Println("reaped", err)
				return 0
			}
			time.Sleep(time.Millisecond)
		}
		fmt.Println("still there", pid, err)
		return 1
	case "signals":
		got := make(chan os.Signal, 4)
		signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
		fmt.Println("ready")
		first := <-got
		select {
		case <-got:
			fmt.Println("twice")
			return 1
		case <-time.After(50 * time.Millisecond):
		}
		fmt.Println("got", first)
		return 130
	case "blind": // hides devices and looks what is found then
		if err := hide(os.Args[1]); err != nil {
			fmt.Println(err)
			return 1
		}
		found := Examine()
		fmt.Println(found.Namespaces == nil, found.Disks == nil, found.Network == nil)
		return 0
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
	case "hang":
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), actEnv+"=sleep")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // as far from the sandbox's process group as can be
		child.Stdout = os.Stdout
		fmt.Println("mount", unix.Mount("tmpfs", "/proc/fs", "tmpfs", 0, ""))
		fmt.Println("start", child.Start())
		time.Sleep(time.Hour)
	}
	return 98
}

// command is the test binary doing act.
func command(t *testing.T, act string) *exec.Cmd {
	t.Helper()
	if err := Probe(); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), actEnv+"="+act)
	return cmd
}

func TestInside(t *testing.T) {
	out, err := command(t, "describe").Output()
	want := "links 1 lo true <nil>\nprocesses 2\nmount <nil>\nlisten true <nil>\n"
	if got := string(out); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 {
		t.Errorf("got %v, want exit code 7", err)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	out, err := command(t, "orphans").CombinedOutput()
	if err != nil || string(out) != "reaped <nil>\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestExitBySignal(t *testing.T) {
	cmd := command(t, "die")
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 137 {
		t.Errorf("got %v, want 137: SIGKILL", err)
	}
}

func TestSignalsArriveOnce(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := command(t, "signals")
		// As from a terminal: the signal goes to the whole process group of the command.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		lines := begin(t, cmd)
		expect(t, lines, "ready")
		if err := syscall.Kill(-cmd.Process.Pid, sig); err != nil {
			t.Fatal(err)
		}
		expect(t, lines, "got "+sig.String())
		if err, ok := cmd.Wait().(*exec.ExitError); !ok || err.ExitCode() != 130 {
			t.Errorf("%v: got %v, want exit code 130", sig, err)
		}
	}
}

// TestNothingIsLeft kills the outer process of two sandboxes and looks for anything that outlives them.
func TestNothingIsLeft(t *testing.T) {
	mark := fmt.Sprintf("HOLDFAST_SANDBOX_TEST_MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
	var cmds []*exec.Cmd
	for range 2 {
		cmd := command(t, "hang")
		cmd.Env = append(cmd.Env, mark)
		lines := begin(t, cmd)
		for _, line := range []string{"mount <nil>", "start <nil>", "asleep"} {
			expect(t, lines, line)
		}
		cmds = append(cmds, cmd)
	}
	if got, want := len(marked(t, mark)), 8; got != want { // outer, init, inner, its child
		t.Fatalf("%d processes run, want %d", got, want)
	}
	for _, cmd := range cmds {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for len(marked(t, mark)) > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if left := marked(t, mark); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mounts, []byte(" /proc/fs tmpfs")) {
		t.Error("a mount is left")
	}
	for _, cmd := range cmds {
		_ = cmd.Wait() // killed
	}
}

// marked returns the processes with mark in their environment that have not ended.
func marked(t *testing.T, mark string) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		env, err := os.ReadFile(path) // empty for one that has ended
		if err == nil && bytes.Contains(env, []byte(mark)) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

func begin(t *testing.T, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return bufio.NewScanner(out)
}

func expect(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	if !lines.Scan() || lines.Text() != want {
		t.Fatalf("got %q, want %q", lines.Text(), want)
	}
}

func TestImpossible(t *testing.T) {
	tests := []struct{ trouble, want string }{
		{"open /dev/fuse: permission denied", "not possible here: open /dev/fuse: permission denied (as root: chmod 0666 /dev/fuse; in a container: --device /dev/fuse)"},
		{"open /dev/fuse: no such file or directory", "not possible here: open /dev/fuse: no such file or directory (modprobe fuse; in a container: --device /dev/fuse)"},
		{"open /dev/net/tun: no such device", "not possible here: open /dev/net/tun: no such device (modprobe tun; in a container: --device /dev/net/tun)"},
		{"open /dev/net/tun: operation not permitted", "not possible here: open /dev/net/tun: operation not permitted (as root: chmod 0666 /dev/net/tun; in a container: --device /dev/net/tun)"},
		{"make a TUN device: operation not permitted", "not possible here: make a TUN device: operation not permitted (in a container: --cap-add NET_ADMIN, or --privileged)"},
		{"bring lo up: operation not permitted", "not possible here: bring lo up: operation not permitted"},
	}
	for _, tt := range tests {
		if got := impossible(tt.trouble).Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
