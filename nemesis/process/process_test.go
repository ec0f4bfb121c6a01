package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/nemesis/disk"
	"holdfast/scenarios/cluster/sandbox"
)

// actEnv makes the test binary a node.
const actEnv = "HOLDFAST_PROCESS_TEST"

// impossible says why the tests cannot mount; nil when they run in a sandbox.
var impossible error

func TestMain(m *testing.M) {
	if code, ok := disk.Main(); ok {
		os.Exit(code)
	}
	if code, ok := sandbox.Main(); ok {
		os.Exit(code)
	}
	act := os.Getenv(actEnv)
	if act != "" && act != "held" {
		os.Exit(node(act, os.Args[1:]))
	}
	if !sandbox.Inside() {
		if os.Getenv("GORACE") == "" { // else every process of a test built with -race sleeps a second at its end
			if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
				panic(err)
			}
		}
		if impossible = sandbox.Probe(); impossible == nil {
			code, err := sandbox.Enter()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			os.Exit(code)
		}
	}
	if act == "held" {
		os.Exit(held(os.Args[1]))
	}
	os.Exit(m.Run())
}

// node is what a process under test does.
func node(act string, args []string) int {
	switch act {
	case "stubborn":
		ossignal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "idle":
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "parent":
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), actEnv+"=idle")
		child.Stdout = os.Stdout
		if err := child.Run(); err != nil {
			return 1
		}
	case "links":
		return printLinks()
	case "writer":
		if err := writeAll(args[0]); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

func startNode(t *testing.T, act string, args ...string) (p *Started, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	p, err := Start(Command{Name: act, Argv: append([]string{"/proc/self/exe"}, args...), Env: []string{actEnv + "=" + act}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := Kill(context.Background(), p); err != nil {
			t.Error(err)
		}
	})
	return p, log
}

// awaitLine waits until the log has a line that begins with prefix.
func awaitLine(t *testing.T, log, prefix string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(b), prefix) || strings.Contains(string(b), "\n"+prefix) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no line %q in the log", prefix)
}

func TestKill(t *testing.T) {
	p, log := startNode(t, "idle")
	awaitLine(t, log, "ready")
	if killed, err := Kill(context.Background(), p); !killed || err != nil {
		t.Errorf("got %v, %v", killed, err)
	}
	if Alive(p) {
		t.Error("alive after the kill")
	}
	if killed, err := Kill(context.Background(), p); killed || err != nil {
		t.Errorf("a second kill: got %v, %v; want no effect", killed, err)
	}
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("ended by %v", p.Err())
	}
}

func TestStop(t *testing.T) {
	for _, tt := range []struct {
		act      string
		patience time.Duration
		graceful bool
	}{{"idle", 10 * time.Second, true}, {"stubborn", 20 * time.Millisecond, false}} {
		p, log := startNode(t, tt.act)
		awaitLine(t, log, "ready")
		stop, err := Stop(context.Background(), p, tt.patience)
		if stop.Graceful != tt.graceful || stop.Effect()["processes"] != 1 || err != nil {
			t.Errorf("%s: got %+v, %v", tt.act, stop, err)
		}
		if !tt.graceful && stop.Took < tt.patience {
			t.Errorf("%s: killed after %v, before %v had passed", tt.act, stop.Took, tt.patience)
		}
		if stop, err := Stop(context.Background(), p, tt.patience); stop.Effect()["processes"] != 0 || err != nil {
			t.Errorf("%s: a second stop: got %+v, %v; want no effect", tt.act, stop, err)
		}
	}
}

func TestPause(t *testing.T) {
	p, log := startNode(t, "idle")
	awaitLine(t, log, "ready")
	paused, err := Pause(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if still, err := stopped(p.PID()); !still || err != nil {
		t.Errorf("not every thread is stopped: %v", err)
	}
	time.Sleep(5 * time.Millisecond)
	if stood, err := paused.Resume(); stood < 5*time.Millisecond || err != nil {
		t.Errorf("stood still for %v, %v", stood, err)
	}
	if stood, err := paused.Resume(); stood != 0 || err != nil {
		t.Errorf("a second resume: %v, %v; want no effect", stood, err)
	}
	if _, err := Kill(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := Pause(context.Background(), p); !errors.Is(err, ErrGone) {
		t.Errorf("pause of what is gone: got %v", err)
	}
}

// TestPauseOfAGroup pauses a node with a child: both must stand still, and a child that something else continues counts as that.
func TestPauseOfAGroup(t *testing.T) {
	p, log := startNode(t, "parent")
	awaitLine(t, log, "ready")
	children := group(p.PID())
	if len(children) != 1 {
		t.Fatalf("%d children, want 1", len(children))
	}
	paused, err := Pause(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(children, p.PID()) {
		if still, err := threadsStopped(pid); !still || err != nil {
			t.Errorf("%d is not stopped: %v", pid, err)
		}
	}
	if err := syscall.Kill(children[0], syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if stood, err := paused.Resume(); stood != 0 || err != nil {
		t.Errorf("stood still for %v, %v, although the child did not", stood, err)
	}
	if paused, err = Pause(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if stood, err := paused.Resume(); stood <= 0 || err != nil {
		t.Errorf("stood still for %v, %v", stood, err)
	}
}

func TestStartFails(t *testing.T) {
	if _, err := Start(Command{Name: "a", Argv: []string{"/no/such/program"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := Start(Command{Name: "a"}); err == nil {
		t.Error("started nothing")
	}
}
