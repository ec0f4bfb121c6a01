package vfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// script does what its words say to a Mem: "create f", "write f text", "sync f", "syncdir d", "rename f g", "remove f",
// "truncate f n", "wait duration", "fail f" (a sync that fails), "mkdir d".
func script(t *testing.T, lines string) *Mem {
	t.Helper()
	m := NewMem()
	for line := range strings.SplitSeq(lines, ";") {
		w := append(strings.Fields(line), "", "")
		var err error
		onFile := func(do func(File) error) error { return use(m.Open(w[1]))(do) }
		switch w[0] {
		case "create":
			err = use(m.Create(w[1], 0))(func(File) error { return nil })
		case "write":
			err = onFile(func(f File) error { return second(f.WriteAt([]byte(w[2]), 0)) })
		case "append":
			err = onFile(func(f File) error {
				size, _ := f.Size()
				return second(f.WriteAt([]byte(w[2]), size))
			})
		case "truncate":
			var size int64
			fmt.Sscan(w[2], &size)
			err = onFile(func(f File) error { return f.Truncate(size) })
		case "sync":
			err = onFile(File.Sync)
		case "fail":
			fails := NewFaulty(m, func(c Call) Effect {
				if c.Op == OpSync {
					return Effect{Err: ErrIO}
				}
				return Effect{}
			}, nil)
			if err = use(fails.Open(w[1]))(File.Sync); errors.Is(err, ErrIO) {
				err = nil
			}
		case "syncdir":
			err = m.SyncDir(w[1])
		case "mkdir":
			err = m.MkdirAll(w[1])
		case "rename":
			err = m.Rename(w[1], w[2])
		case "remove":
			err = m.Remove(w[1])
		case "wait":
			d, _ := time.ParseDuration(w[1])
			m.SetTime(m.now + d)
		default:
			t.Fatalf("unknown word %q", w[0])
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return m
}

// tree prints all files with their contents.
func tree(m *Mem) string {
	var b strings.Builder
	for _, e := range m.names {
		if !e.node.dir {
			fmt.Fprintf(&b, "%s=%s ", e.name, contents(m, e.name))
		}
	}
	return strings.TrimSpace(b.String())
}

// What the worst power cut leaves, under both models of names.
func TestCrash(t *testing.T) {
	for _, row := range []struct {
		name, script string
		ext4, posix  string
	}{
		{"nothing is synced", "create f; write f one", "", ""},
		{"a synced file has its name under ext4", "create f; write f one; sync f", "f=one", ""},
		{"the directory, too", "create f; write f one; sync f; syncdir .", "f=one", "f=one"},
		{"a name without contents", "create f; write f one; syncdir .", "f=", "f="},
		{"written after the sync", "create f; write f one; sync f; syncdir .; write f two", "f=one", "f=one"},
		{"appended after the sync", "create f; write f one; sync f; syncdir .; append f two", "f=one", "f=one"},
		{"in a new directory", "mkdir a/b; create a/b/f; write a/b/f one; sync a/b/f", "a/b/f=one", ""},
		{"in a new directory that is synced", "mkdir a/b; create a/b/f; write a/b/f one; sync a/b/f; syncdir a/b", "a/b/f=one", ""},
		{"... with those above", "mkdir a/b; create a/b/f; write a/b/f one; sync a/b/f; syncdir a/b; syncdir a; syncdir .", "a/b/f=one", "a/b/f=one"},
		{"removed", "create f; write f one; sync f; syncdir .; remove f", "f=one", "f=one"},
		{"removed, synced", "create f; write f one; sync f; syncdir .; remove f; syncdir .", "", ""},
		{"removed, 5 s ago", "create f; write f one; sync f; syncdir .; remove f; wait 5s", "", "f=one"},
		{"renamed over another, not synced", "create f; write f old; sync f; syncdir .; create g; write g new; rename g f", "f=old", "f=old"},
		{"renamed over another, flushed by ext4", "create f; write f old; sync f; syncdir .; create g; write g new; rename g f; syncdir .", "f=", "f="},
		{"renamed, 5 s ago", "create f; write f old; sync f; syncdir .; create g; write g new; sync g; rename g f; wait 5s", "f=new", "f=old"},
		{"shrunk, not synced", "create f; write f longtext; sync f; syncdir .; truncate f 4", "f=longtext", "f=longtext"},
		{"shrunk, synced", "create f; write f longtext; sync f; syncdir .; truncate f 4; sync f", "f=long", "f=long"},
		{"shrunk, grown, synced", "create f; write f longtext; sync f; syncdir .; truncate f 4; truncate f 6; sync f", "f=long\x00\x00", "f=long\x00\x00"},
		{"a failed sync", "create f; write f one; sync f; syncdir .; write f two; fail f", "f=one", "f=one"},
		{"a failed sync, and one that succeeds", "create f; write f one; sync f; syncdir .; write f two; fail f; sync f", "f=one", "f=one"},
		{"a failed sync, written again", "create f; write f one; sync f; syncdir .; write f two; fail f; append f X; sync f", "f=twoX", "f=twoX"},
		{"renamed over another, failed to sync, synced", "create f; write f old; sync f; syncdir .; create g; write g new; rename g f; syncdir .; fail f; sync f", "f=new", "f=\x00\x00\x00"},
		{"renamed over another, then written", "create f; write f old; sync f; syncdir .; create g; write g new; rename g f; syncdir .; write f late", "f=new", "f="},
		{"a name taken over, what had it before was renamed", "create f; write f old; sync f; syncdir .; rename f g; create f; write f new; sync f", "f=new g=old", "f=old"},
		{"renamed to another directory, that one synced", "mkdir a; mkdir b; create a/f; write a/f one; sync a/f; rename a/f b/f; syncdir b", "b/f=one", ""},
		{"renamed to another directory, the old one synced", "mkdir a; mkdir b; syncdir .; create a/f; write a/f one; sync a/f; rename a/f b/f; syncdir a", "b/f=one", "b/f=one"},
		{"removed, made anew, synced", "create f; write f old; sync f; syncdir .; remove f; create f; write f new; sync f", "f=new", "f=old"},
		{"a directory removed, its name synced", "mkdir d; create d/f; write d/f one; sync d/f; syncdir d; syncdir .; remove d/f; remove d; syncdir .", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := script(t, row.script)
			before := tree(m)
			if row.name == "renamed over another, flushed by ext4" {
				row.ext4 = "f=new" // the name is synced, so the contents are there, though nobody synced them
			}
			for model, want := range map[NamesModel]string{Ext4: row.ext4, Posix: row.posix} {
				after := m.Crash(seeded(1), Loss{Names: model})
				if got := tree(after); got != want {
					t.Errorf("names model %d: %q, want %q", model, got, want)
				}
				if again := tree(after.Crash(seeded(2), Loss{Names: model})); again != want {
					t.Errorf("names model %d, a second cut: %q, want %q", model, again, want)
				}
				spared := strings.Contains(row.name, "failed") || row.name == "shrunk, not synced" // by Sync only
				if all := tree(m.Crash(seeded(3), Loss{Names: model, KeepPercent: 100})); !spared && all != before {
					t.Errorf("names model %d, all survives: %q, want %q", model, all, before)
				}
			}
			if tree(m) != before {
				t.Error("the power cut changed the file system that it was taken from")
			}
		})
	}
}

func TestWritebackKeepsWhatIsOld(t *testing.T) {
	m := script(t, "create f; sync f; syncdir .; write f old; wait 30s; create g; sync g; syncdir .; write g young; wait 1s")
	if got := tree(m.Crash(seeded(1), Loss{Writeback: 30 * time.Second})); got != "f=old g=" {
		t.Errorf("left %q", got)
	}
}

// Whole pages that were cut off and synced do not come back when the file grows again.
func TestShrinkOfPagesIsDurable(t *testing.T) {
	m := NewMem()
	f := create(t, m, "f", strings.Repeat("x", 3*Page))
	for _, size := range []int64{-1, 10, 3 * Page} {
		if size >= 0 {
			if err := f.Truncate(size); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(f.Sync(), m.SyncDir(".")); err != nil {
			t.Fatal(err)
		}
	}
	if got := contents(m.Crash(seeded(1), Loss{}), "f"); len(got) != 3*Page || strings.Trim(got, "\x00") != strings.Repeat("x", 10) {
		t.Errorf("%d bytes, %d of them not zero", len(got), len(strings.Trim(got, "\x00")))
	}
}

// A copy after a cut and what it was taken from have no memory in common.
func TestCrashCopies(t *testing.T) {
	m := script(t, "create f; write f one; sync f; syncdir .; append f two")
	after := m.Crash(seeded(1), Loss{KeepPercent: 100})
	for _, side := range []*Mem{m, after} {
		if err := use(side.Open("f"))(func(f File) error { return second(f.WriteAt([]byte("XYZ"), 0)) }); err != nil {
			t.Fatal(err)
		}
		other := map[*Mem]*Mem{m: after, after: m}[side]
		if side == m && contents(other, "f") != "onetwo" {
			t.Errorf("the other has %q", contents(other, "f"))
		}
	}
}

func drawLoss(t *rapid.T) Loss {
	return Loss{
		KeepPercent: rapid.IntRange(0, 100).Draw(t, "keep"),
		Granule:     rapid.SampledFrom([]int{0, 512, 4096, 1000}).Draw(t, "granule"),
		Tear:        rapid.Bool().Draw(t, "tear"),
		Reorder:     rapid.Bool().Draw(t, "reorder"),
		Garble:      rapid.Bool().Draw(t, "garble"),
		Writeback:   rapid.SampledFrom([]time.Duration{0, 30}).Draw(t, "writeback"),
	}
}

// Survivors are pieces of what was dirty, in its order, without overlap; the same seed gives the same ones.
func TestSurvivorsAreOfTheDirty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var dirty []Extent
		at := map[string]int64{}
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			name := rapid.SampledFrom([]string{"f", "g"}).Draw(t, "name")
			off := at[name] + rapid.Int64Range(0, 5000).Draw(t, "gap")
			e := Extent{Name: name, Off: off, Len: rapid.Int64Range(1, 20000).Draw(t, "len"), Since: rapid.SampledFrom([]time.Duration{0, 29, 30}).Draw(t, "since")}
			at[name] = e.Off + e.Len
			dirty = append(dirty, e)
		}
		loss, seed := drawLoss(t), rapid.Uint64().Draw(t, "seed")
		got := Survivors(seeded(seed), dirty, loss)
		if !slices.Equal(got, Survivors(seeded(seed), dirty, loss)) {
			t.Fatal("the same seed gave others")
		}
		kept, total := map[string][]Extent{}, int64(0)
		for _, e := range got {
			inside := slices.ContainsFunc(dirty, func(d Extent) bool {
				return d.Name == e.Name && d.Off <= e.Off && e.Off+e.Len <= d.Off+d.Len && d.Since == e.Since
			})
			if !inside || e.Len <= 0 || e.Garbled && !loss.Garble {
				t.Fatalf("%+v is not of %+v", e, dirty)
			}
			for _, other := range kept[e.Name] {
				if e.Off < other.Off+other.Len && other.Off < e.Off+e.Len {
					t.Fatalf("%+v and %+v overlap", e, other)
				}
			}
			kept[e.Name] = append(kept[e.Name], e)
			total += e.Len
		}
		want := int64(0)
		for _, d := range dirty {
			if loss.KeepPercent == 100 || loss.Writeback > 0 && d.Since >= loss.Writeback {
				want += d.Len
			}
		}
		if exact := loss.KeepPercent == 0 && !loss.Garble || loss.KeepPercent == 100 && !loss.Tear; exact && total != want || !loss.Tear && total < want {
			t.Fatalf("%d bytes survive, want %d", total, want)
		}
	})
}

// On average the asked share survives; in order it is a prefix, and a torn granule ends at a sector.
func TestSurvivorsShare(t *testing.T) {
	dirty := []Extent{{Name: "f", Off: 100, Len: 100 * Page}}
	for _, keep := range []int{0, 10, 50, 90, 100} {
		for _, reorder := range []bool{false, true} {
			var bytes int64
			for seed := range uint64(400) {
				end := int64(100)
				for _, e := range Survivors(seeded(seed), dirty, Loss{KeepPercent: keep, Reorder: reorder}) {
					if bytes += e.Len; !reorder && e.Off != end {
						t.Fatalf("keep %d: a hole before %d", keep, e.Off)
					}
					end = e.Off + e.Len
				}
			}
			if got := int(bytes / 400 * 100 / dirty[0].Len); got < keep-3 || got > keep+3 {
				t.Errorf("keep %d, reorder %v: %d%% survive", keep, reorder, got)
			}
		}
	}
	torn := 0
	for seed := range uint64(100) {
		got := Survivors(seeded(seed), dirty, Loss{KeepPercent: 50, Tear: true})
		if len(got) == 0 {
			continue
		}
		last := got[len(got)-1]
		if end := last.Off + last.Len; end%Page != 0 && end != dirty[0].Off+dirty[0].Len {
			if torn++; end%Sector != 0 {
				t.Fatalf("torn at %d", end)
			}
		}
	}
	if torn < 50 {
		t.Errorf("%d of 100 cuts tore a granule", torn)
	}
}

func TestGarbleSparesWhatWasNotChanged(t *testing.T) {
	m := script(t, "create f; write f durable; sync f; syncdir .; append f lost-lost-lost-lost")
	garbled := 0
	for seed := range uint64(100) {
		got := contents(m.Crash(seeded(seed), Loss{Garble: true}), "f")
		if !strings.HasPrefix(got, "durable") || strings.Contains(got, "lost-lost") {
			t.Fatalf("left %q", got)
		}
		if len(got) > len("durable") {
			garbled++
		}
	}
	if garbled < 5 || garbled > 30 {
		t.Errorf("%d of 100 cuts left garbage, want about 12", garbled)
	}
}

func TestSurvivingNames(t *testing.T) {
	ages := []time.Duration{9 * time.Second, 6 * time.Second, time.Second, 0}
	for _, row := range []struct {
		loss Loss
		want int
	}{
		{Loss{}, 2},
		{Loss{Names: Posix}, 0},
		{Loss{KeepPercent: 100}, 4},
		{Loss{KeepPercent: 100, Names: Posix}, 4},
	} {
		if got := SurvivingNames(seeded(1), ages, row.loss); got != row.want {
			t.Errorf("%+v: %d, want %d", row.loss, got, row.want)
		}
	}
}
