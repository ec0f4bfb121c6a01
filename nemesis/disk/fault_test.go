package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/nemesis"
)

// prepare makes log/f with two pages of x and other with one, all durable.
func prepare(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := newRig(t, cfg, "a")
	for _, o := range []order{{Op: orderMkdir, Path: "log"}, {Op: orderWrite, Path: "log/f", Data: fill('x', 2*pageSize)}, {Op: orderSync, Path: "log/f"},
		{Op: orderWrite, Path: "other", Data: fill('x', pageSize)}, {Op: orderSync, Path: "other"}, {Op: orderSync, Path: "log"}, {Op: orderSync, Path: "."}} {
		r.do("a", o)
	}
	return r
}

func (r *rig) set(s FaultSpec) {
	r.t.Helper()
	if err := r.c.SetFault("a", s); err != nil {
		r.t.Fatal(err)
	}
}

// TestFaultsStrikeByPathAndTimes sets each fault that fails calls once, and until cleared, on the files below log.
func TestFaultsStrikeByPathAndTimes(t *testing.T) {
	write := func(path string) []order { return []order{{Op: orderWrite, Path: path, Data: fill('y', 100)}} }
	mapped := func(path string) []order {
		return []order{{Op: orderMap, Path: path, Data: fill('z', 100)}, {Op: orderMapSync, Path: path}}
	}
	sync := func(path string) []order { return []order{{Op: orderSync, Path: path}} }
	read := func(path string) []order { return []order{{Op: orderRead, Path: path}} }
	for _, tt := range []struct {
		name  string
		kind  nemesis.Kind
		do    func(path string) []order
		bytes int64 // of one struck call; -1: not checked, the kernel decides
	}{
		{"write", nemesis.WriteError, write, 100}, {"mapped write", nemesis.WriteError, mapped, pageSize},
		{"fsync", nemesis.FsyncError, sync, 0}, {"read", nemesis.ReadError, read, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, times := range []int{1, 0} {
				r := prepare(t, Config{})
				r.set(FaultSpec{Kind: tt.kind, Path: "log", Times: times})
				attempt := func(path string) (err error) {
					for _, o := range tt.do(path) {
						if _, e := r.try("a", o); e != nil {
							err = e
						}
					}
					return err
				}
				if err := attempt("other"); err != nil {
					t.Errorf("another file: %v", err)
				}
				for i := range 3 {
					want := error(nil)
					if times == 0 || i < times {
						want = syscall.EIO
					}
					if err := attempt("log/f"); !errors.Is(err, want) {
						t.Errorf("times %d, call %d: got %v, want %v", times, i, err, want)
					}
				}
				got, err := r.c.Clear("a", tt.kind)
				if err != nil || got.Calls < 1 || times == 1 && got.Calls != 1 || times == 0 && got.Calls < 3 {
					t.Errorf("times %d: %+v, %v", times, got, err)
				}
				if tt.bytes >= 0 && got.Bytes != tt.bytes*got.Calls || tt.bytes < 0 && got.Bytes < pageSize*got.Calls {
					t.Errorf("times %d: %+v, want %d bytes a call", times, got, tt.bytes)
				}
				if err := attempt("log/f"); err != nil {
					t.Errorf("after the end: %v", err)
				}
				if _, err := r.c.Clear("a", tt.kind); err == nil {
					t.Error("cleared twice")
				}
			}
		})
	}
}

// TestReadErrorOfOnePage: what the kernel's read-ahead alone would notice reaches the process.
func TestReadErrorOfOnePage(t *testing.T) {
	r := prepare(t, Config{})
	r.set(FaultSpec{Kind: nemesis.ReadError, Path: "other", Times: 1})
	for _, want := range []error{syscall.EIO, nil} {
		if _, err := r.try("a", order{Op: orderRead, Path: "other"}); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if got, err := r.c.Clear("a", nemesis.ReadError); err != nil || got != (Affected{Calls: 1, Bytes: pageSize}) {
		t.Errorf("%+v, %v; want one call for one page", got, err)
	}
}

// TestReadErrorsReachTheCached reads a file into the kernel's cache, by read and by mapping, before its reads fail.
func TestReadErrorsReachTheCached(t *testing.T) {
	r := prepare(t, Config{})
	f, err := os.Open(filepath.Join(r.mount("a"), "log/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 10)
	reads := func() error {
		_, err := f.ReadAt(b, pageSize)
		return err
	}
	if err := reads(); err != nil {
		t.Fatal(err)
	}
	before, err := r.c.Stats("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := reads(); err != nil {
		t.Fatal(err)
	}
	if after, err := r.c.Stats("a"); err != nil || after.Calls != before.Calls {
		t.Fatalf("%d calls for a cached read, %v: the test proves nothing", after.Calls-before.Calls, err)
	}
	r.set(FaultSpec{Kind: nemesis.ReadError, Path: "log"})
	if err := reads(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a file that was open: %v, want EIO", err)
	}
	if got, err := r.c.Affected("a", nemesis.ReadError); err != nil || got.Calls == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	// Written anew it is in memory again, until somebody opens it.
	r.do("a", order{Op: orderWrite, Path: "log/f", Data: fill('y', 2*pageSize)})
	if _, err := r.try("a", order{Op: orderRead, Path: "log/f"}); !errors.Is(err, syscall.EIO) {
		t.Errorf("opened again: %v, want EIO", err)
	}
	r.do("a", order{Op: orderSync, Path: "log/f"})
	f.Close()
	r.cut("a")
	r.restart("a") // with an empty cache; the fault is still there
	if _, err := r.try("a", order{Op: orderRead, Path: "log/f"}); !errors.Is(err, syscall.EIO) {
		t.Errorf("after a cut: %v, want EIO", err)
	}
	if _, err := r.c.Clear("a", nemesis.ReadError); err != nil {
		t.Fatal(err)
	}
	if got := r.do("a", order{Op: orderRead, Path: "log/f"}).Data; string(got) != string(fill('y', 2*pageSize)) {
		t.Error("what was written is not there")
	}
}

// TestWriteErrorsOfMappedPages: the page is readable and clean, so a second msync succeeds, and is not on the disk.
func TestWriteErrorsOfMappedPages(t *testing.T) {
	r := prepare(t, Config{})
	r.set(FaultSpec{Kind: nemesis.WriteError, Times: 1})
	r.do("a", order{Op: orderMap, Path: "log/f", Data: fill('y', pageSize)})
	if _, err := r.try("a", order{Op: orderMapSync, Path: "log/f"}); !errors.Is(err, syscall.EIO) {
		t.Fatalf("msync: %v, want EIO", err)
	}
	r.do("a", order{Op: orderMapSync, Path: "log/f"})
	r.cut("a")
	if got := tree(t, r.backing("a"))["log/f"]; got != string(fill('x', 2*pageSize)) {
		t.Errorf("the page that failed is on the disk: %q...", got[:1])
	}
}

func TestFullDisk(t *testing.T) {
	r := prepare(t, Config{})
	dir := r.mount("a")
	const budget = 3 * pageSize
	r.set(FaultSpec{Kind: nemesis.DiskFull, FreeBytes: budget})
	free := func(want int64) {
		t.Helper()
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		if got := int64(st.Bavail) * st.Bsize; got != want || st.Bfree != st.Bavail {
			t.Errorf("statfs: %d bytes are free, want %d", got, want)
		}
	}
	use := func(path string, do func(f *os.File) error) error {
		f, err := os.OpenFile(filepath.Join(dir, path), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		return errors.Join(do(f), f.Close())
	}
	write := func(off int64, n int) func(f *os.File) error {
		return func(f *os.File) error {
			wrote, err := f.WriteAt(fill('y', n), off)
			if err != nil {
				return fmt.Errorf("after %d bytes: %w", wrote, err)
			}
			return nil
		}
	}
	free(budget)
	steps := []struct {
		name string
		do   func() error
		want error
		free int64
	}{
		{"overwrite", func() error { return use("log/f", write(0, 2*pageSize)) }, nil, budget},
		{"append", func() error { return use("log/f", write(2*pageSize, 100)) }, nil, 2 * pageSize},
		{"append to that page", func() error { return use("log/f", write(2*pageSize+100, 100)) }, nil, 2 * pageSize},
		{"allocate too much", func() error {
			return use("log/f", func(f *os.File) error { return unix.Fallocate(int(f.Fd()), 0, 8*pageSize, 3*pageSize) })
		}, syscall.ENOSPC, 2 * pageSize},
		{"allocate", func() error {
			return use("log/f", func(f *os.File) error { return unix.Fallocate(int(f.Fd()), 0, 8*pageSize, pageSize) })
		}, nil, pageSize},
		{"write what is allocated", func() error { return use("log/f", write(8*pageSize, pageSize)) }, nil, pageSize},
		{"write beyond the budget", func() error { return use("new", write(0, 2*pageSize)) }, syscall.ENOSPC, 0},
		{"create", func() error { return use("newer", write(0, 1)) }, syscall.ENOSPC, 0},
		{"mkdir", func() error { return os.Mkdir(filepath.Join(dir, "d"), 0o755) }, syscall.ENOSPC, 0},
		{"truncate", func() error { return os.Truncate(filepath.Join(dir, "log/f"), 8*pageSize) }, nil, pageSize},
		{"remove", func() error { return os.Remove(filepath.Join(dir, "other")) }, nil, 2 * pageSize},
		{"create again", func() error { return use("newer", write(0, 1)) }, nil, pageSize},
	}
	for _, s := range steps {
		if err := s.do(); !errors.Is(err, s.want) {
			t.Errorf("%s: got %v, want %v", s.name, err, s.want)
		}
		free(s.free)
	}
	if info, err := os.Stat(filepath.Join(dir, "new")); err != nil || info.Size() != pageSize {
		t.Errorf("the write beyond the budget: %v, %v; want the page that fitted", info, err)
	}
	got, err := r.c.Clear("a", nemesis.DiskFull)
	if err != nil || got.Calls != 5 || got.Bytes != 5*pageSize {
		t.Errorf("%+v, %v; want 5 calls and 5 pages refused: the library tries the rest of a short write", got, err)
	}
	r.do("a", order{Op: orderWrite, Path: "log/f", Data: fill('y', 100*pageSize)})
}

// TestFullDiskOfMappedPages: a store allocates when the kernel brings its page, which msync reports.
func TestFullDiskOfMappedPages(t *testing.T) {
	r := prepare(t, Config{})
	r.do("a", order{Op: orderTruncate, Path: "log/f", Size: 100 * pageSize})
	r.set(FaultSpec{Kind: nemesis.DiskFull, Path: "log", FreeBytes: pageSize})
	for i, want := range []error{nil, nil, syscall.ENOSPC} {
		r.do("a", order{Op: orderMap, Path: "log/f", Off: int64(i+1) * pageSize, Data: fill('y', 10)})
		if _, err := r.try("a", order{Op: orderMapSync, Path: "log/f"}); !errors.Is(err, want) {
			t.Errorf("page %d: got %v, want %v", i+1, err, want)
		}
	}
}

func TestSlowSync(t *testing.T) {
	r := prepare(t, Config{})
	r.set(FaultSpec{Kind: nemesis.FsyncSlow, Path: "log", Times: 1, Delay: 20 * time.Millisecond})
	r.do("a", order{Op: orderWrite, Path: "log/f", Data: fill('y', 1)})
	for _, path := range []string{"other", "log/f", "log/f"} {
		r.do("a", order{Op: orderSync, Path: path})
	}
	got, err := r.c.Clear("a", nemesis.FsyncSlow)
	if err != nil || got != (Affected{Calls: 1, Bytes: pageSize}) {
		t.Errorf("%+v, %v; want one call about one page", got, err)
	}
	if stats, err := r.c.Stats("a"); err != nil || stats.SyncMax < 20*time.Millisecond || stats.SyncDelays != 1 {
		t.Errorf("longest fsync %v, %d delayed, %v", stats.SyncMax, stats.SyncDelays, err)
	}
}

func TestFlippedBits(t *testing.T) {
	r := prepare(t, Config{})
	r.do("a", order{Op: orderTruncate, Path: "log/f", Size: 1000 * pageSize}) // space that nobody has written
	r.do("a", order{Op: orderSync, Path: "log/f"})
	r.do("a", order{Op: orderWrite, Path: "log/f", Off: 2 * pageSize, Data: fill('y', 100*pageSize)}) // survives by luck
	r.loss.KeepPercent = 100
	if _, err := r.c.FlipBits("a", "log", 1, 1); err == nil {
		t.Error("flipped while mounted")
	}
	r.cut("a")
	before := tree(t, r.backing("a"))
	flips, err := r.c.FlipBits("a", "log", 500, 7)
	if err != nil || len(flips) != 500 {
		t.Fatalf("%d flips, %v", len(flips), err)
	}
	changed := 0
	for name, content := range tree(t, r.backing("a")) {
		want := []byte(before[name])
		for _, f := range flips {
			if f.Path == name {
				want[f.Off] ^= 1 << f.Bit
			}
		}
		if content != string(want) {
			t.Errorf("%s: another bit was flipped than was said", name)
		}
		changed += int(different([]byte(content), []byte(before[name])))
	}
	if changed < 400 {
		t.Errorf("%d bytes changed by 500 flips", changed)
	}
	for _, f := range flips {
		if f.Path != "log/f" || f.Off >= 2*pageSize || f.Before^f.After != 1<<f.Bit {
			t.Errorf("%+v: not a bit that an fsync covered", f)
		}
	}
	if _, err := r.c.FlipBits("a", "log", 2*pageSize*8+1, 7); err == nil {
		t.Error("more bits flipped than there are")
	}
	if _, err := r.c.FlipBits("a", "none", 1, 7); err == nil {
		t.Error("flipped a bit of no file")
	}
	r.restart("a")
	if got := r.do("a", order{Op: orderRead, Path: "log/f"}).Data; got[flips[0].Off] == 'x' && got[flips[1].Off] == 'x' && got[flips[2].Off] == 'x' {
		t.Error("the node reads what it wrote")
	}
	r.hands["a"].kill()
	r.hands["a"].wait()
	if err := r.c.Detach("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.c.FlipBits("a", "log", 2*pageSize*8+1, 7); err != nil {
		t.Errorf("what has survived a cut is durable: %v", err)
	}
}

func TestFaultSpecs(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind nemesis.Kind
		p    nemesis.Params
		want string // part of the error; empty: none
	}{
		{"fsync error", nemesis.FsyncError, nemesis.Params{Times: 1, Pages: "keep"}, ""},
		{"slow fsync", nemesis.FsyncSlow, nemesis.Params{Delay: time.Second}, ""},
		{"slow fsync without delay", nemesis.FsyncSlow, nemesis.Params{}, "Delay"},
		{"delay of another", nemesis.WriteError, nemesis.Params{Delay: 1}, "Delay"},
		{"pages of another", nemesis.WriteError, nemesis.Params{Pages: "keep"}, "Pages"},
		{"other pages", nemesis.FsyncError, nemesis.Params{Pages: "lose"}, "Pages"},
		{"full disk", nemesis.DiskFull, nemesis.Params{Bytes: 1 << 20}, ""},
		{"bytes of another", nemesis.ReadError, nemesis.Params{Bytes: 1}, "FreeBytes"},
		{"full disk, once", nemesis.DiskFull, nemesis.Params{Times: 1}, "Times"},
		{"negative times", nemesis.ReadError, nemesis.Params{Times: -1}, "Times"},
		{"no fault of a disk", nemesis.Kill, nemesis.Params{}, "no fault"},
		{"bit flip", nemesis.BitFlip, nemesis.Params{}, "no fault"},
	} {
		spec, err := SpecOf(tt.kind, tt.p)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if spec.Path != "commitlog" {
			t.Errorf("%s: path %q, want commitlog by default", tt.name, spec.Path)
		}
	}
}
