package process

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/broker/vfs"
	"holdfast/nemesis/disk"
)

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
		if err := disks.Mount(node, filepath.Join(c.dir, node, "backing"), mount, -1); err != nil {
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
		err := disks.Mount(node, filepath.Join(dir, node, "backing"), mount, -1)
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
