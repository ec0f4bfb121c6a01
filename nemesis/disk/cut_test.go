package disk

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/broker/vfs"
)

func TestSelfTest(t *testing.T) {
	r := newRig(t, Config{})
	dir := t.TempDir()
	if err := SelfTest(context.Background(), r.c, dir); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// fill returns n bytes of b.
func fill(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// cutCase is what a node did before a cut, and the files that are left under a names model.
type cutCase struct {
	name   string
	orders []order
	names  vfs.NamesModel
	want   map[string]string
}

func cutCases() []cutCase {
	synced := func(path string, data []byte) []order {
		return []order{{Op: orderWrite, Path: path, Data: data}, {Op: orderSync, Path: path}}
	}
	durable := func(path string, data []byte) []order {
		return append(synced(path, data), order{Op: orderSync, Path: "."})
	}
	a, b := fill('a', 2*pageSize), fill('b', 2*pageSize)
	ab := append(fill('a', pageSize), fill('b', pageSize)...)
	return []cutCase{
		{"a file that was never synced", []order{{Op: orderWrite, Path: "f", Data: a}}, vfs.Ext4, map[string]string{}},
		{"a synced file", synced("f", a), vfs.Ext4, map[string]string{"f": string(a)}},
		{"a synced file, its directory not", synced("f", a), vfs.Posix, map[string]string{}},
		{"overwritten after the sync", append(durable("f", a), order{Op: orderWrite, Path: "f", Data: b}), vfs.Ext4,
			map[string]string{"f": string(a)}},
		{"one page of two overwritten and synced", append(durable("f", a), order{Op: orderWrite, Path: "f", Off: pageSize, Data: b[:pageSize]},
			order{Op: orderSync, Path: "f"}), vfs.Ext4, map[string]string{"f": string(ab)}},
		{"written by O_DSYNC", append(durable("f", a), order{Op: orderSyncEach, Path: "f", Off: pageSize, Data: b[:pageSize]}), vfs.Ext4,
			map[string]string{"f": string(ab)}},
		{"truncated after the sync", append(durable("f", a), order{Op: orderTruncate, Path: "f", Size: 10}), vfs.Ext4,
			map[string]string{"f": string(a)}},
		{"truncated, grown again, then synced", append(durable("f", a), order{Op: orderTruncate, Path: "f", Size: 10},
			order{Op: orderTruncate, Path: "f", Size: 20}, order{Op: orderSync, Path: "f"}), vfs.Ext4,
			map[string]string{"f": string(a[:10]) + strings.Repeat("\x00", 10)}},
		{"removed after the sync", append(durable("f", a), order{Op: orderRemove, Path: "f"}), vfs.Ext4, map[string]string{"f": string(a)}},
		{"removed, the directory synced", append(durable("f", a), order{Op: orderRemove, Path: "f"}, order{Op: orderSync, Path: "."}), vfs.Ext4,
			map[string]string{}},
		{"renamed", append(durable("f", a), order{Op: orderRename, Path: "f", To: "g"}), vfs.Ext4, map[string]string{"f": string(a)}},
		{"replaced by a rename, the directory synced, the new file never: ext4 has flushed it",
			append(durable("f", a), order{Op: orderWrite, Path: "f.tmp", Data: b}, order{Op: orderRename, Path: "f.tmp", To: "f"}, order{Op: orderSync, Path: "."}),
			vfs.Ext4, map[string]string{"f": string(b)}},
		{"the same under posix: an empty file",
			append(durable("f", a), order{Op: orderWrite, Path: "f.tmp", Data: b}, order{Op: orderRename, Path: "f.tmp", To: "f"}, order{Op: orderSync, Path: "."}),
			vfs.Posix, map[string]string{"f": ""}},
		{"replaced by a rename, the directory not synced", append(durable("f", a), order{Op: orderWrite, Path: "f.tmp", Data: b},
			order{Op: orderSync, Path: "f.tmp"}, order{Op: orderRename, Path: "f.tmp", To: "f"}), vfs.Ext4,
			map[string]string{"f": string(a), "f.tmp": string(b)}},
		{"a name taken over by a synced file: what had it before was renamed first",
			append(durable("f", a), append([]order{{Op: orderRename, Path: "f", To: "g"}}, synced("f", b)...)...), vfs.Ext4,
			map[string]string{"f": string(b), "g": string(a)}},
		{"a second name", append(durable("f", a), order{Op: orderLink, Path: "f", To: "g"}, order{Op: orderSync, Path: "g"}), vfs.Ext4,
			map[string]string{"f": string(a)}},
		{"a synced file makes its directories durable", append([]order{{Op: orderMkdir, Path: "d"}}, synced("d/f", a)...), vfs.Ext4,
			map[string]string{"d/": "", "d/f": string(a)}},
		{"a synced directory within one that is not", append([]order{{Op: orderMkdir, Path: "d"}}, append(synced("d/f", a),
			order{Op: orderSync, Path: "d"})...), vfs.Posix, map[string]string{}},
		{"a directory emptied and removed, its parent synced", append([]order{{Op: orderMkdir, Path: "d"}}, append(durable("d/f", a), order{Op: orderRemove, Path: "d/f"},
			order{Op: orderRemove, Path: "d"}, order{Op: orderSync, Path: "."})...), vfs.Ext4, map[string]string{}},
		{"renamed over an empty directory, the parent synced", []order{{Op: orderMkdir, Path: "d"}, {Op: orderMkdir, Path: "e"}, {Op: orderWrite, Path: "d/f", Data: a},
			{Op: orderSync, Path: "d/f"}, {Op: orderSync, Path: "."}, {Op: orderRename, Path: "d", To: "e"}, {Op: orderSync, Path: "."}}, vfs.Ext4,
			map[string]string{"e/": "", "e/f": string(a)}},
		{"renamed over an empty directory, its own file synced: ext4 commits the rename with the directory above", []order{{Op: orderMkdir, Path: "d"},
			{Op: orderMkdir, Path: "e"}, {Op: orderSync, Path: "."}, {Op: orderRename, Path: "d", To: "e"}, {Op: orderWrite, Path: "e/f", Data: a},
			{Op: orderSync, Path: "e/f"}}, vfs.Ext4, map[string]string{"e/": "", "e/f": string(a)}},
		{"renamed over an emptied directory, nothing synced", []order{{Op: orderMkdir, Path: "d"}, {Op: orderMkdir, Path: "e"}, {Op: orderWrite, Path: "e/f", Data: a},
			{Op: orderSync, Path: "e/f"}, {Op: orderSync, Path: "."}, {Op: orderRemove, Path: "e/f"}, {Op: orderRename, Path: "d", To: "e"}}, vfs.Ext4,
			map[string]string{"d/": "", "e/": "", "e/f": string(a)}},
		{"renamed over an emptied directory, the parent synced", []order{{Op: orderMkdir, Path: "d"}, {Op: orderMkdir, Path: "e"}, {Op: orderWrite, Path: "e/f", Data: a},
			{Op: orderSync, Path: "e/f"}, {Op: orderSync, Path: "."}, {Op: orderRemove, Path: "e/f"}, {Op: orderRename, Path: "d", To: "e"},
			{Op: orderSync, Path: "."}}, vfs.Ext4, map[string]string{"e/": ""}},
		{"renamed to another directory, which is synced", []order{{Op: orderMkdir, Path: "d"}, {Op: orderMkdir, Path: "e"}, {Op: orderSync, Path: "."},
			{Op: orderWrite, Path: "d/f", Data: a}, {Op: orderSync, Path: "d/f"}, {Op: orderRename, Path: "d/f", To: "e/f"}, {Op: orderSync, Path: "e"}},
			vfs.Posix, map[string]string{"d/": "", "e/": "", "e/f": string(a)}},
		{"removed, made anew under its old name, synced", append(append(durable("f", a), order{Op: orderRemove, Path: "f"}), synced("f", b)...), vfs.Ext4,
			map[string]string{"f": string(b)}},
		{"an empty directory removed", []order{{Op: orderMkdir, Path: "d"}, {Op: orderSync, Path: "."}, {Op: orderRemove, Path: "d"}}, vfs.Ext4,
			map[string]string{"d/": ""}},
	}
}

func TestWhatACutLeaves(t *testing.T) {
	for _, model := range []vfs.NamesModel{vfs.Ext4, vfs.Posix} {
		r := newRig(t, Config{Names: model})
		for i, tt := range cutCases() {
			if tt.names != model {
				continue
			}
			node := "n" + string(rune('a'+i))
			r.add(node)
			for _, o := range tt.orders {
				r.do(node, o)
			}
			r.cut(node)
			if msg := explain(tree(t, r.backing(node)), tt.want); msg != "" {
				t.Errorf("%s: %s", tt.name, msg)
			}
		}
	}
}

func TestCutOfTwoNodesIsOneInstant(t *testing.T) {
	r := newRig(t, Config{}, "a", "b")
	for _, node := range []string{"a", "b"} {
		r.do(node, order{Op: orderWrite, Path: "f", Data: fill('x', 100)})
		r.do(node, order{Op: orderSync, Path: "f"})
		r.do(node, order{Op: orderWrite, Path: "f", Data: fill('y', 100)})
	}
	for node, impact := range r.cut("a", "b") {
		if impact.BytesLost != 100 || impact.PagesLost != 1 {
			t.Errorf("%s: %+v, want 100 bytes in 1 page", node, impact)
		}
		if got := tree(t, r.backing(node))["f"]; got != strings.Repeat("x", 100) {
			t.Errorf("%s: f holds %q", node, got)
		}
	}
}

// TestNothingIsAcknowledgedAfterTheCut begins every kind of change after the cut: none may return before the release.
func TestNothingIsAcknowledgedAfterTheCut(t *testing.T) {
	setup := []order{{Op: orderWrite, Path: "f", Data: fill('x', pageSize)}, {Op: orderSync, Path: "f"}, {Op: orderMkdir, Path: "d"},
		{Op: orderSync, Path: "."}, {Op: orderMap, Path: "f", Data: []byte("y")}}
	for _, o := range []order{
		{Op: orderWrite, Path: "f", Data: []byte("z")}, {Op: orderWrite, Path: "new", Data: []byte("z")}, {Op: orderSync, Path: "f"},
		{Op: orderMapSync, Path: "f"}, {Op: orderTruncate, Path: "f"}, {Op: orderRename, Path: "f", To: "g"}, {Op: orderRemove, Path: "f"},
		{Op: orderMkdir, Path: "e"}, {Op: orderRemove, Path: "d"}, {Op: orderSync, Path: "."}, {Op: orderLink, Path: "f", To: "g"},
	} {
		t.Run(o.Op+" "+o.Path, func(t *testing.T) {
			r := newRig(t, Config{}, "a")
			for _, o := range setup {
				r.do("a", o)
			}
			if _, err := r.c.Cut("a"); err != nil {
				t.Fatal(err)
			}
			answered := make(chan error, 1)
			go func() {
				_, err := r.try("a", o)
				answered <- err
			}()
			select {
			case err := <-answered:
				t.Fatalf("answered after the cut: %v", err)
			case <-time.After(10 * time.Millisecond):
			}
			if impact := r.afterCut("a")["a"]; impact.Refused+impact.KernelBytes == 0 {
				t.Errorf("nothing was refused: %+v", impact)
			}
			if err := <-answered; err == nil {
				t.Error("acknowledged after the cut")
			}
			if got := tree(t, r.backing("a")); got["f"] != strings.Repeat("x", pageSize) || len(got) != 2 {
				t.Errorf("left: %d files", len(got))
			}
		})
	}
}

func TestMappedPagesComeLate(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', 10*pageSize)})
	r.do("a", order{Op: orderSync, Path: "f"})
	r.do("a", order{Op: orderMap, Path: "f", Off: 2 * pageSize, Data: fill('y', 3*pageSize)})
	impact := r.cut("a")["a"]
	if impact.KernelBytes != 3*pageSize || impact.BytesLost != 3*pageSize || impact.PagesLost != 3 {
		t.Errorf("%+v, want 3 pages that the kernel brought late", impact)
	}
}

func TestSurvivorsByLuck(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', 200*pageSize)})
	r.do("a", order{Op: orderSync, Path: "f"})
	r.do("a", order{Op: orderMap, Path: "f", Data: fill('y', 100*pageSize)})
	r.do("a", order{Op: orderWrite, Path: "f", Off: 100 * pageSize, Data: fill('y', 100*pageSize)})
	r.loss = vfs.Loss{KeepPercent: 50, Reorder: true}
	impact := r.cut("a")["a"]
	if impact.PagesLost+impact.PagesKept != 200 || impact.PagesKept < 60 || impact.PagesKept > 140 {
		t.Errorf("%+v, want about half of 200 pages", impact)
	}
	content := tree(t, r.backing("a"))["f"]
	mapped, written := strings.Count(content[:100*pageSize], "y"), strings.Count(content[100*pageSize:], "y")
	if mapped == 0 || written == 0 || int64(mapped+written) != impact.PagesKept*pageSize {
		t.Errorf("%d mapped and %d written bytes survive, %d pages were said to", mapped, written, impact.PagesKept)
	}
	if impact.BytesLost != impact.PagesLost*pageSize {
		t.Errorf("%d bytes lost in %d pages", impact.BytesLost, impact.PagesLost)
	}
}

func TestLifeGoesOnAfterACut(t *testing.T) {
	r := newRig(t, Config{}, "a")
	for range 3 {
		r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', pageSize)})
		r.do("a", order{Op: orderSync, Path: "f"})
		r.do("a", order{Op: orderWrite, Path: "f", Off: pageSize, Data: fill('y', pageSize)})
		r.cut("a")
		r.restart("a")
		if got := r.do("a", order{Op: orderRead, Path: "f"}).Data; !bytes.Equal(got, fill('x', pageSize)) {
			t.Fatalf("%d bytes read after the restart, want one page", len(got))
		}
	}
}

// TestKillLosesNothing kills without a cut: what was not synced is there, and still not durable.
func TestKillLosesNothing(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', pageSize)})
	r.do("a", order{Op: orderSync, Path: "f"})
	r.do("a", order{Op: orderMap, Path: "f", Data: fill('y', pageSize)})
	r.hands["a"].kill()
	r.hands["a"].wait()
	r.startHand("a")
	if got := r.do("a", order{Op: orderRead, Path: "f"}).Data; !bytes.Equal(got, fill('y', pageSize)) {
		t.Error("a kill lost what the kernel held")
	}
	if impact := r.cut("a")["a"]; impact.BytesLost != pageSize {
		t.Errorf("%+v: a restart of the process made the page durable", impact)
	}
}

func TestErase(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', 100)})
	r.hands["a"].kill()
	r.hands["a"].wait()
	if err := r.c.Detach("a"); err != nil {
		t.Fatal(err)
	}
	impact, err := r.c.Erase("a")
	if err != nil || impact.FilesLost != 1 || impact.BytesLost != 100 {
		t.Errorf("got %+v, %v", impact, err)
	}
	r.restart("a")
	if _, err := r.try("a", order{Op: orderRead, Path: "f"}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v after the disk was lost", err)
	}
}

func TestMisuse(t *testing.T) {
	r := newRig(t, Config{}, "a")
	survive := func() error { _, err := r.c.Survive("a", 1, vfs.Loss{}); return err }
	cut := func() error { _, err := r.c.Cut("a"); return err }
	for _, tt := range []struct {
		name string
		do   func() error
		want string // part of the error; empty: none
	}{
		{"a second disk for a node", func() error { return r.c.Mount("a", r.dir+"/x", r.dir+"/y", -1) }, "has a disk already"},
		{"a relative path", func() error { return r.c.Mount("b", "x", "/y", -1) }, "absolute"},
		{"a mount in its own backing", func() error { return r.c.Mount("b", "/x", "/x/y", -1) }, "within each other"},
		{"an unknown node", func() error { return r.c.Detach("b") }, "no disk"},
		{"release without a cut", func() error { return r.c.Release("a") }, "not held"},
		{"survive while mounted", survive, "still mounted"},
		{"cut", cut, ""},
		{"cut twice", cut, "not running"},
		{"detach what is held", func() error { return r.c.Detach("a") }, "not released"},
		{"release", func() error { return r.c.Release("a") }, ""},
		{"detach", func() error { return r.c.Detach("a") }, ""},
		{"remount without survive", func() error { return r.c.Remount("a") }, "not chosen"},
		{"another names model", func() error { _, err := r.c.Survive("a", 1, vfs.Loss{Names: vfs.Posix}); return err }, "names model"},
		{"survive", survive, ""},
		{"survive twice", survive, "not cut"},
		{"remount", func() error { return r.c.Remount("a") }, ""},
	} {
		err := tt.do()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Fatalf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
