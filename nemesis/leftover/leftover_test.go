package leftover

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holdfast/scenarios/cluster/sandbox"
)

// actEnv makes the test binary a run with a child that outlives it.
const actEnv = "HOLDFAST_LEFTOVER_TEST"

// abilities is what this machine can do. The tests run in a sandbox where there can be one, so that mounts are their own.
var abilities sandbox.Abilities

func TestMain(m *testing.M) {
	if code, ok := sandbox.Main(); ok {
		os.Exit(code)
	}
	switch os.Getenv(actEnv) {
	case "networked":
		if err := runNetworked(os.Args[1]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "node":
		if err := runNode(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "run":
		if err := Mark(); err != nil {
			panic(err)
		}
		dir := os.Args[1]
		if _, err := Note(dir); err != nil {
			panic(err)
		}
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), actEnv+"=child")
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Println(child.Process.Pid)
		time.Sleep(time.Hour)
	case "child":
		time.Sleep(time.Hour)
	}
	if abilities = sandbox.Examine(); abilities.Namespaces == nil && !sandbox.Inside() {
		code, err := sandbox.Enter()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// startRun starts a run that notes dir, and returns it and the id of its child.
func startRun(t *testing.T, dir string) (run *exec.Cmd, child int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	run, out := start(t, "run", dir)
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	return run, child
}

// start starts the test binary as act, which is killed at the end of the test at the latest, and returns it and what it says.
func start(t *testing.T, act string, args ...string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), actEnv+"="+act)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out
}

func find(t *testing.T) Found {
	t.Helper()
	f, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCleanTakesTheDeadOnly(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv(markEnv, "")
	deadDir, liveDir := filepath.Join(t.TempDir(), "dead.d"), filepath.Join(t.TempDir(), "live")
	dead, deadChild := startRun(t, deadDir)
	live, liveChild := startRun(t, liveDir)
	defer func() {
		_ = live.Process.Kill()
		_ = live.Wait() // killed
		f := find(t)
		f.Processes = []int{liveChild} // leave those of others alone
		if err := f.Clean(); err != nil {
			t.Error(err)
		}
	}()
	if f := find(t); slices.Contains(f.Processes, deadChild) || len(f.Directories) > 0 {
		t.Errorf("found %+v while both runs live", f)
	}
	_ = dead.Process.Kill()
	_ = dead.Wait() // killed
	f := find(t)
	if !slices.Contains(f.Processes, deadChild) || slices.Contains(f.Processes, liveChild) || !slices.Equal(f.Directories, []string{deadDir}) {
		t.Fatalf("found %+v, want process %d and %s", f, deadChild, deadDir)
	}
	f.Processes = []int{deadChild} // leave those of others alone
	if err := f.Clean(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(deadDir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", deadDir, err)
	}
	if _, err := os.Stat(filepath.Join(liveDir, "sub")); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for slices.Contains(find(t).Processes, deadChild) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", deadChild)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestForgottenNotesAreNoLeftovers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv(markEnv, filepath.Join(os.TempDir(), fmt.Sprintf("holdfast-%d", os.Geteuid()), "1-999999999999"))
	dir := t.TempDir()
	forget, err := Note(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f := find(t); !slices.Equal(f.Directories, []string{dir}) {
		t.Errorf("found %+v before forgetting", f)
	}
	if err := forget(); err != nil {
		t.Fatal(err)
	}
	if f := find(t); len(f.Directories) > 0 {
		t.Errorf("found %+v after forgetting", f)
	}
}
