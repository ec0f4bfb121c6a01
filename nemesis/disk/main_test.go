package disk

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"holdfast/broker/vfs"
	"holdfast/scenarios/cluster/sandbox"
)

// impossible says why the tests cannot mount; nil when they run in a sandbox.
var impossible error

func TestMain(m *testing.M) {
	if code, ok := Main(); ok {
		os.Exit(code)
	}
	if code, ok := sandbox.Main(); ok {
		os.Exit(code)
	}
	if os.Getenv(benchEnv) != "" {
		os.Exit(runBench(os.Args[1:]))
	}
	if os.Getenv(usernsEnv) != "" {
		os.Exit(runUserns(os.Args[1]))
	}
	if os.Getenv("HOLDFAST_LONG") == "" {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			panic(err)
		}
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
	os.Exit(m.Run())
}

// rig is a disk process with volumes, each touched by a hand.
type rig struct {
	t     testing.TB
	c     *Client
	dir   string
	hands map[string]*hand
	loss  vfs.Loss
}

func newRig(t testing.TB, cfg Config, nodes ...string) *rig {
	t.Helper()
	if impossible != nil {
		t.Skip(impossible)
	}
	c, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, c: c, dir: t.TempDir(), hands: map[string]*hand{}, loss: vfs.Loss{Names: cfg.Names}}
	t.Cleanup(func() {
		for _, h := range r.hands {
			h.kill()
			h.wait()
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, node := range nodes {
		r.add(node)
	}
	return r
}

// add gives the node a disk and a hand.
func (r *rig) add(node string) {
	r.t.Helper()
	if err := r.c.Mount(node, r.backing(node), r.mount(node), -1); err != nil {
		r.t.Fatal(err)
	}
	r.startHand(node)
}

func (r *rig) startHand(node string) {
	r.t.Helper()
	h, err := startHand()
	if err != nil {
		r.t.Fatal(err)
	}
	r.hands[node] = h
}

func (r *rig) backing(node string) string { return filepath.Join(r.dir, node, "backing") }
func (r *rig) mount(node string) string   { return filepath.Join(r.dir, node, "mount") }

// do has node's hand carry out the order below its mount.
func (r *rig) do(node string, o order) result {
	r.t.Helper()
	got, err := r.try(node, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *rig) try(node string, o order) (result, error) {
	o.Path = filepath.Join(r.mount(node), o.Path)
	if o.To != "" {
		o.To = filepath.Join(r.mount(node), o.To)
	}
	return r.hands[node].do(o)
}

// cut cuts the power of the nodes at one instant and leaves what survives in their backing directories.
func (r *rig) cut(nodes ...string) map[string]Impact {
	r.t.Helper()
	if _, err := r.c.Cut(nodes...); err != nil {
		r.t.Fatal(err)
	}
	return r.afterCut(nodes...)
}

func (r *rig) afterCut(nodes ...string) map[string]Impact {
	r.t.Helper()
	for _, node := range nodes {
		r.hands[node].kill()
	}
	if err := r.c.Release(nodes...); err != nil {
		r.t.Fatal(err)
	}
	impacts := map[string]Impact{}
	for _, node := range nodes {
		r.hands[node].wait()
		delete(r.hands, node)
		if err := r.c.Detach(node); err != nil {
			r.t.Fatal(err)
		}
		impact, err := r.c.Survive(node, 1, r.loss)
		if err != nil {
			r.t.Fatal(err)
		}
		impacts[node] = impact
	}
	return impacts
}

// restart mounts the node's disk anew with a new hand.
func (r *rig) restart(node string) {
	r.t.Helper()
	if err := r.c.Remount(node); err != nil {
		r.t.Fatal(err)
	}
	r.startHand(node)
}

// awaitDelayed waits until a slow fsync of the node is in progress.
func (r *rig) awaitDelayed(node string) {
	r.t.Helper()
	for {
		stats, err := r.c.Stats(node)
		if err != nil {
			r.t.Fatal(err)
		}
		if stats.SyncDelays > 0 {
			return
		}
	}
}

// tree returns what a directory holds: content by relative path, directories with a trailing slash.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			found[rel+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		found[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
