package leftover

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// actEnv makes the test binary a run with a child that outlives it.
const actEnv = "HOLDFAST_LEFTOVER_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(actEnv) {
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
	os.Exit(m.Run())
}

// startRun starts a run that notes dir, and returns it and the id of its child.
func startRun(t *testing.T, dir string) (run *exec.Cmd, child int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	run = exec.Command("/proc/self/exe", dir)
	run.Env = append(os.Environ(), actEnv+"=run")
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	return run, child
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
