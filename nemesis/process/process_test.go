package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
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
	case "writer":
		if err := writeAll(args[0]); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// record is the length of a record in bytes; each begins with its number.
const record = 1000

// writeAll makes numbered records durable in three ways at once, and says how far each has come.
func writeAll(dir string) error {
	ended := make(chan error)
	go func() { ended <- appendRecords(dir + "/appended") }()
	go func() { ended <- mapRecords(dir + "/mapped") }()
	go func() { ended <- replaceFile(dir, "replaced") }()
	return <-ended
}

func number(i int) []byte { return fmt.Appendf(nil, "%09d", i) }

// appendRecords writes, and syncs every 10th time.
func appendRecords(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := make([]byte, record)
	for i := 1; ; i++ {
		copy(b, number(i))
		if _, err := f.Write(b); err != nil {
			return err
		}
		if i%10 != 0 {
			continue
		}
		if err := f.Sync(); err != nil {
			return err
		}
		fmt.Println("appended", i)
	}
}

// mapRecords stores through a mapping, and syncs every 3rd time.
func mapRecords(path string) error {
	const most = 20000
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := f.Truncate(most * record); err != nil {
		return err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, most*record, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	for i := 1; i <= most; i++ {
		copy(m[(i-1)*record:], number(i))
		if i%3 != 0 {
			continue
		}
		if err := unix.Msync(m, unix.MS_SYNC); err != nil {
			return err
		}
		fmt.Println("mapped", i)
	}
	time.Sleep(time.Hour)
	return nil
}

// replaceFile replaces a file by a synced new one and syncs the directory.
func replaceFile(dir, name string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	for i := 1; ; i++ {
		f, err := os.Create(filepath.Join(dir, name+".tmp"))
		if err != nil {
			return err
		}
		if _, err := f.Write(number(i)); err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close(), os.Rename(f.Name(), filepath.Join(dir, name)), d.Sync()); err != nil {
			return err
		}
		fmt.Println("replaced", i)
	}
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
		if graceful, err := Stop(context.Background(), p, tt.patience); graceful != tt.graceful || err != nil {
			t.Errorf("%s: got %v, %v", tt.act, graceful, err)
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

func TestStartFails(t *testing.T) {
	if _, err := Start(Command{Name: "a", Argv: []string{"/no/such/program"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := Start(Command{Name: "a"}); err == nil {
		t.Error("started nothing")
	}
}

// ways are those in which a node writes; the files have these names.
var ways = []string{"appended", "mapped", "replaced"}

// cluster is two nodes that write to their lossy disks.
type cluster struct {
	disks *disk.Client
	dir   string
	procs map[string]Process
	logs  map[string]string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	if impossible != nil {
		t.Skip(impossible)
	}
	disks, err := disk.Start(context.Background(), disk.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{disks, t.TempDir(), map[string]Process{}, map[string]string{}}
	t.Cleanup(func() { // after the nodes' own
		if err := disks.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, node := range []string{"a-0", "a-1"} {
		mount := filepath.Join(c.dir, node, "mount")
		if err := disks.Mount(node, filepath.Join(c.dir, node, "backing"), mount); err != nil {
			t.Fatal(err)
		}
		c.procs[node], c.logs[node] = startNode(t, "writer", mount)
	}
	for _, log := range c.logs {
		for _, way := range ways {
			awaitLine(t, log, way)
		}
	}
	return c
}

// check returns, by way, how many records the node's disk has, and how many the node has said are durable.
func (c *cluster) check(t *testing.T, node string) (there, said map[string]int) {
	t.Helper()
	there, said = map[string]int{}, map[string]int{}
	for _, way := range ways {
		b, err := os.ReadFile(filepath.Join(c.dir, node, "backing", way))
		if err != nil {
			t.Fatal(err)
		}
		if way == "replaced" {
			if there[way], err = strconv.Atoi(string(b)); err != nil {
				t.Errorf("%s: replaced holds %q", node, b)
			}
			continue
		}
		for n := 0; n*record+9 <= len(b) && bytes.Equal(b[n*record:n*record+9], number(n+1)); n++ {
			there[way] = n + 1
		}
	}
	log, err := os.ReadFile(c.logs[node])
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		var way string
		var n int
		if _, err := fmt.Sscanf(line, "%s %d\n", &way, &n); err != nil || !slices.Contains(ways, way) {
			t.Fatalf("%s said %q: a call failed before it was killed", node, line)
		}
		said[way] = n
	}
	return there, said
}

func TestPowerCut(t *testing.T) {
	c := newCluster(t)
	var stamps []string
	cut, err := PowerCut(context.Background(), c.disks, c.procs, CutOptions{
		Seed:  1,
		Start: func() { stamps = append(stamps, fmt.Sprint("start ", Alive(c.procs["a-0"]), Alive(c.procs["a-1"]))) },
		Down:  func(cut Cut) { stamps = append(stamps, fmt.Sprint("down ", cut.Processes, Alive(c.procs["a-0"]))) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(stamps, ", "), "start true true, down 2 false"; got != want {
		t.Errorf("stamps: got %q, want %q", got, want)
	}
	if effect := cut.Effect(); effect["processes"] != 2 || cut.At.IsZero() || cut.Killing <= 0 {
		t.Errorf("got %v, %+v", effect, cut)
	}
	for node := range c.procs {
		there, said := c.check(t, node)
		for way, ahead := range map[string]int{"appended": 10, "mapped": 3, "replaced": 1} { // one sync may have been under way
			if there[way] < said[way] || there[way] > said[way]+ahead {
				t.Errorf("%s: %d records %s are there, %d were said to be durable", node, there[way], way, said[way])
			}
		}
	}
	for node := range c.procs { // the disks can be used again
		if err := c.disks.Remount(node); err != nil {
			t.Error(err)
		}
	}
}

// TestManyCuts cuts often, so that cuts fall into every phase of a node's work: nothing that was said to be
// durable may be missing, and something that was not must be.
func TestManyCuts(t *testing.T) {
	cuts, lost := 8, int64(0)
	if os.Getenv("HOLDFAST_LONG") != "" {
		cuts = 300
	}
	for i := range cuts {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := newCluster(t)
			cut, err := PowerCut(context.Background(), c.disks, c.procs, CutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for node := range c.procs {
				there, said := c.check(t, node)
				for _, way := range ways {
					if there[way] < said[way] {
						t.Errorf("%s: %d records %s are there, %d were said to be durable", node, there[way], way, said[way])
					}
				}
				lost += cut.Disks[node].BytesLost
			}
		})
	}
	if lost == 0 {
		t.Errorf("%d cuts of two nodes lost nothing", cuts)
	}
}

func TestRehearsalDoesNothing(t *testing.T) {
	c := newCluster(t)
	stamps := 0
	cut, err := PowerCut(context.Background(), c.disks, c.procs, CutOptions{Off: true,
		Start: func() { stamps++ },
		Down:  func(cut Cut) { stamps++ },
	})
	if err != nil || stamps != 2 {
		t.Errorf("%d stamps, %v", stamps, err)
	}
	if effect := cut.Effect(); effect["processes"] != 0 || effect["bytesLost"] != 0 {
		t.Errorf("a rehearsal has the effect %v", effect)
	}
	for node, p := range c.procs {
		if !Alive(p) {
			t.Errorf("%s has ended", node)
		}
	}
}

func TestCutOfTheDeadHasNoEffect(t *testing.T) {
	c := newCluster(t)
	for _, p := range c.procs {
		if _, err := Kill(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	cut, err := PowerCut(context.Background(), c.disks, c.procs, CutOptions{})
	if err != nil || cut.Effect()["processes"] != 0 {
		t.Errorf("got %v, %v: nobody was alive", cut.Effect(), err)
	}
}

func TestSurvivorsAreDrawnFromTheSeed(t *testing.T) {
	c := newCluster(t)
	cut, err := PowerCut(context.Background(), c.disks, c.procs, CutOptions{Seed: 7, Loss: vfs.Loss{KeepPercent: 100}})
	if err != nil {
		t.Fatal(err)
	}
	if effect := cut.Effect(); effect["pagesLost"] != 0 || effect["processes"] != 2 {
		t.Errorf("got %v although all pages survive", effect)
	}
}

// held is a run that is killed at the worst instant: its disks are cut and hold the calls of their nodes.
func held(dir string) int {
	disks, err := disk.Start(context.Background(), disk.Config{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, node := range []string{"a-0", "a-1"} {
		mount := filepath.Join(dir, node, "mount")
		err := disks.Mount(node, filepath.Join(dir, node, "backing"), mount)
		if err == nil {
			_, err = Start(Command{Name: node, Argv: []string{"/proc/self/exe", mount}, Env: []string{actEnv + "=writer"}})
		}
		if err == nil {
			_, err = disks.WaitSync(context.Background(), node, "appended", 0)
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
	}
	if _, err := disks.Cut("a-0", "a-1"); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	time.Sleep(time.Hour)
	return 1
}

// TestKilledWhileHolding kills a run whose nodes hang in calls that its disks hold: nothing may outlive it.
func TestKilledWhileHolding(t *testing.T) {
	if impossible != nil {
		t.Skip(impossible)
	}
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe", dir)
	mark := "HOLDFAST_PROCESS_MARK=" + dir
	// A sandbox in this test's sandbox: a run of its own.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "HOLDFAST_SANDBOX=") }),
		actEnv+"=held", mark)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "held" {
		t.Fatalf("the run said %q", lines.Text())
	}
	if n := marked(t, mark); n < 6 { // outer, init, inner, disk, two nodes
		t.Fatalf("%d processes run, want 6", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	deadline := time.Now().Add(10 * time.Second)
	for marked(t, mark) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes are left", marked(t, mark))
		}
		time.Sleep(time.Millisecond)
	}
}

// marked counts the processes with mark in their environment that have not ended.
func marked(t *testing.T, mark string) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if env, err := os.ReadFile(path); err == nil && strings.Contains(string(env), mark) { // empty for one that has ended
			n++
		}
	}
	return n
}
