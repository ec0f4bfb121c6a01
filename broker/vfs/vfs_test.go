package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// everyFS returns one of each kind, empty.
func everyFS(t *testing.T) map[string]FS {
	pass := func(Call) Effect { return Effect{} }
	return map[string]FS{
		"OS":     OS(t.TempDir()),
		"Mem":    NewMem(),
		"Locked": Locked(NewMem()),
		"Faulty": NewFaulty(NewMem(), pass, nil),
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func create(t testing.TB, fsys FS, name, contents string) File {
	t.Helper()
	f := must[File](t)(fsys.Create(name, 0))
	must[int](t)(f.WriteAt([]byte(contents), 0))
	return f
}

func contents(fsys FS, name string) string {
	b, err := ReadFile(fsys, name)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestEveryFSDoesTheSame(t *testing.T) {
	for name, fsys := range everyFS(t) {
		t.Run(name, func(t *testing.T) {
			if err := fsys.MkdirAll("a/b"); err != nil {
				t.Fatal(err)
			}
			f := must[File](t)(fsys.Create("a/b/f", 5000))
			if b := must[[]byte](t)(ReadFile(fsys, "a/b/f")); len(b) != 5000 || !allZero(b) {
				t.Errorf("a new file has %d bytes", len(b))
			}
			must[int](t)(f.WriteAt([]byte("hello"), 4094)) // over a page's end
			must[int](t)(f.WriteAt([]byte("end"), 6000))
			if size := must[int64](t)(f.Size()); size != 6003 {
				t.Errorf("size %d", size)
			}
			b := make([]byte, 10)
			if n, err := f.ReadAt(b, 5998); n != 5 || err != io.EOF || string(b[:5]) != "\x00\x00end" {
				t.Errorf("read over the end: %d, %v, %q", n, err, b)
			}
			if n, err := f.ReadAt(b[:5], 4094); n != 5 || err != nil || string(b[:5]) != "hello" {
				t.Errorf("read: %d, %v, %q", n, err, b)
			}
			for _, size := range []int64{4096, 6000} {
				if err := f.Truncate(size); err != nil {
					t.Fatal(err)
				}
			}
			if b := must[[]byte](t)(ReadFile(fsys, "a/b/f")); len(b) != 6000 || string(b[4094:4096]) != "he" || !allZero(b[4096:]) {
				t.Errorf("shrunk and grown: %d bytes, %q", len(b), b[4090:4100])
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := f.ReadAt(b, 0); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("read of a closed file: %v", err)
			}
			names(t, fsys)
		})
	}
}

// TestHoles: what lies behind the last byte that was written is known to be empty, on Linux also of a real file.
func TestHoles(t *testing.T) {
	for name, fsys := range everyFS(t) {
		f := must[File](t)(fsys.Create("f", 1<<20))
		must[int](t)(f.WriteAt([]byte("hello"), 100_000))
		for off, want := range map[int64]int64{0: 98_304, 100_002: 100_002, 200_000: -1, 1 << 20: -1} { // 64 KiB pages and smaller
			at := must[int64](t)(NextData(f, off))
			if name == "OS" && want == 98_304 && at > 0 {
				at = at / 32_768 * 32_768
			}
			if at != want && (name != "OS" || runtime.GOOS == "linux") {
				t.Errorf("%s: behind byte %d there is data at %d, want %d", name, off, at, want)
			}
		}
		f.Close()
	}
}

// names goes on with the tree that TestEveryFSDoesTheSame made.
func names(t *testing.T, fsys FS) {
	if _, err := fsys.Create("a/b/f", 0); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a file: %v", err)
	}
	for what, err := range map[string]error{
		"create in no directory": second(fsys.Create("x/f", 0)),
		"open":                   second(fsys.Open("a/none")),
		"remove":                 fsys.Remove("none"),
		"rename":                 fsys.Rename("none", "other"),
		"list":                   second(fsys.List("none")),
		"sync of a directory":    fsys.SyncDir("none"),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want fs.ErrNotExist", what, err)
		}
	}
	if err := fsys.Remove("a/b"); err == nil {
		t.Error("removed a directory that is not empty")
	}
	create(t, fsys, "a/b.g", "g").Close()
	create(t, fsys, "a/c", "old").Close()
	if err := fsys.Rename("a/b.g", "a/c"); err != nil {
		t.Fatal(err)
	}
	if got := must[[]string](t)(fsys.List("a")); !slices.Equal(got, []string{"b", "c"}) || contents(fsys, "a/c") != "g" {
		t.Errorf("renamed: %v, %q", got, contents(fsys, "a/c"))
	}
	if err := errors.Join(fsys.Remove("a/b/f"), fsys.Remove("a/b"), fsys.SyncDir("a"), fsys.SyncDir(".")); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"first", "second, longer", "3"} {
		if err := WriteFile(fsys, "a/w.json", []byte(text)); err != nil || contents(fsys, "a/w.json") != text {
			t.Errorf("written %q: %q, %v", text, contents(fsys, "a/w.json"), err)
		}
	}
	lock, err := Lock(fsys, "a/lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(fsys, "a/lock"); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
	if lock, err = Lock(fsys, "a/lock"); err != nil {
		t.Errorf("lock again: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// Mem behaves as the system does, whatever is written, cut and renamed.
func TestMemAgainstTheSystem(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		root := OS(dir)
		sub := fmt.Sprintf("case/%d", n)
		mem := NewMem()
		for _, f := range []FS{root, mem} {
			if err := f.MkdirAll(sub); err != nil {
				t.Fatal(err)
			}
		}
		both := func(do func(FS) error) {
			a, b := do(root), do(mem)
			if (a == nil) != (b == nil) || errors.Is(a, fs.ErrNotExist) != errors.Is(b, fs.ErrNotExist) {
				t.Fatalf("system: %v; Mem: %v", a, b)
			}
		}
		name := func(what string) string { return sub + "/" + rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, what) }
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			file, other := name("file"), name("other")
			off, b := rapid.Int64Range(0, 9000).Draw(t, "off"), rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "bytes")
			switch rapid.IntRange(0, 4).Draw(t, "call") {
			case 0:
				both(func(f FS) error { return use(f.Create(file, off))(func(File) error { return nil }) })
			case 1:
				both(func(f FS) error { return f.Remove(file) })
			case 2:
				both(func(f FS) error { return f.Rename(file, other) })
			case 3:
				both(func(f FS) error { return use(f.Open(file))(func(f File) error { return f.Truncate(off) }) })
			default:
				both(func(f FS) error { return use(f.Open(file))(func(f File) error { return second(f.WriteAt(b, off)) }) })
			}
		}
		a, _ := root.List(sub)
		b, _ := mem.List(sub)
		if !slices.Equal(a, b) {
			t.Fatalf("system: %v; Mem: %v", a, b)
		}
		for _, file := range a {
			if contents(root, sub+"/"+file) != contents(mem, sub+"/"+file) {
				t.Fatalf("%s: system %q, Mem %q", file, contents(root, sub+"/"+file), contents(mem, sub+"/"+file))
			}
			for _, fsys := range []FS{root, mem} {
				if got := readData(t, fsys, sub+"/"+file); got != contents(fsys, sub+"/"+file) {
					t.Fatalf("%s: %q where there is data", file, got)
				}
			}
		}
	})
}

// readData reads only where NextData finds something.
func readData(t *rapid.T, fsys FS, name string) string {
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	b := make([]byte, size)
	for at := int64(0); err == nil && at < size; at = (at/Page + 1) * Page {
		if at, err = NextData(f, at); err != nil || at < 0 {
			break
		}
		_, err = f.ReadAt(b[at:min(size, (at/Page+1)*Page)], at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// use does something with a file, and closes it.
func use(f File, err error) func(func(File) error) error {
	return func(do func(File) error) error {
		if err != nil {
			return err
		}
		return errors.Join(do(f), f.Close())
	}
}

func TestFaulty(t *testing.T) {
	var waited int
	mem := NewMem()
	isSync := func(c Call) bool { return c.Op == OpSync && c.Name == "f" }
	fsys := NewFaulty(mem, Once(isSync, Effect{Err: ErrIO, Delay: 5}), func(d time.Duration) { waited += int(d) })
	f := create(t, fsys, "f", "some text")
	if err := f.Sync(); !errors.Is(err, ErrIO) || waited != 5 {
		t.Errorf("first sync: %v after %d", err, waited)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("second sync: %v", err)
	}
	full := NewFaulty(mem, Always(func(c Call) bool { return c.Op == OpWrite }, Effect{Err: ErrNoSpace}), nil)
	g := must[File](t)(full.Open("f"))
	if n, err := g.WriteAt([]byte("SOME TEXT"), 0); n != 4 || !errors.Is(err, ErrNoSpace) || contents(mem, "f") != "SOME text" {
		t.Errorf("write to a full disk: %d, %v, %q", n, err, contents(mem, "f"))
	}
	for op, do := range map[Op]func(FS) error{
		OpCreate:  func(f FS) error { return second(f.Create("new", 0)) },
		OpOpen:    func(f FS) error { return second(f.Open("f")) },
		OpRead:    func(f FS) error { return second(ReadFile(f, "f")) },
		OpRemove:  func(f FS) error { return f.Remove("f") },
		OpRename:  func(f FS) error { return f.Rename("f", "g") },
		OpList:    func(f FS) error { return second(f.List(".")) },
		OpMkdir:   func(f FS) error { return f.MkdirAll("d") },
		OpSyncDir: func(f FS) error { return f.SyncDir(".") },
		OpTruncate: func(f FS) error {
			return use(f.Open("f"))(func(f File) error { return f.Truncate(0) })
		},
	} {
		fails := NewFaulty(mem, Always(func(c Call) bool { return c.Op == op }, Effect{Err: ErrIO}), nil)
		if err := do(fails); !errors.Is(err, ErrIO) {
			t.Errorf("call %d: %v", op, err)
		}
	}
	if got := must[[]string](t)(mem.List(".")); !slices.Equal(got, []string{"f"}) || contents(mem, "f") != "SOME text" {
		t.Errorf("failed calls had an effect: %v, %q", got, contents(mem, "f"))
	}
}
