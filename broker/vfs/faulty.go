package vfs

import (
	"errors"
	"io"
	"time"
)

// Op is what is asked of a file system or a file.
type Op uint8

// The calls that a Rule sees.
const (
	OpCreate Op = iota + 1
	OpOpen
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpRemove
	OpRename
	OpList
	OpMkdir
	OpSyncDir
)

// Call is one call of a file system or a file as a Rule sees it, before it is done.
type Call struct {
	Op   Op
	Name string
	Off  int64 // OpRead, OpWrite
	Len  int   // OpRead, OpWrite
	Size int64 // OpCreate: of the file
}

// Effect is what becomes of a call. The zero value lets it pass.
type Effect struct {
	Err   error         // it fails with this error and is not done; ErrIO, ErrNoSpace
	Keep  bool          // a Sync that fails leaves the contents dirty; else, as ext4 does, clean though not durable
	Delay time.Duration // it takes this much longer
}

// Rule decides about each call. It may keep state, so that it strikes once, or the n-th time.
type Rule func(Call) Effect

// Once returns a Rule that gives effect to the first call that match accepts, and to no other.
func Once(match func(Call) bool, effect Effect) Rule {
	struck := false
	return func(c Call) Effect {
		if struck || !match(c) {
			return Effect{}
		}
		struck = true
		return effect
	}
}

// Always returns a Rule that gives effect to every call that match accepts.
func Always(match func(Call) bool, effect Effect) Rule {
	return func(c Call) Effect {
		if match(c) {
			return effect
		}
		return Effect{}
	}
}

// Faulty is a file system that errs and is slow where its rule says so. The rule and Wait are called by whoever calls
// the file system.
type Faulty struct {
	fsys FS
	rule Rule
	wait func(time.Duration)
}

// NewFaulty returns fsys with the faults of rule; wait is called with the delay of a slow call (a driver sleeps, a
// simulator adds it up), nil ignores delays.
func NewFaulty(fsys FS, rule Rule, wait func(time.Duration)) *Faulty {
	return &Faulty{fsys, rule, wait}
}

// ask applies the rule to a call.
func (f *Faulty) ask(c Call) Effect {
	e := f.rule(c)
	if e.Delay > 0 && f.wait != nil {
		f.wait(e.Delay)
	}
	return e
}

// Create implements FS.
func (f *Faulty) Create(name string, size int64) (File, error) {
	if e := f.ask(Call{Op: OpCreate, Name: name, Size: size}); e.Err != nil {
		return nil, e.Err
	}
	return f.file(name)(f.fsys.Create(name, size))
}

// Open implements FS.
func (f *Faulty) Open(name string) (File, error) {
	if e := f.ask(Call{Op: OpOpen, Name: name}); e.Err != nil {
		return nil, e.Err
	}
	return f.file(name)(f.fsys.Open(name))
}

// file wraps what opening name returned.
func (f *Faulty) file(name string) func(File, error) (File, error) {
	return func(file File, err error) (File, error) {
		if err != nil {
			return nil, err
		}
		return &faultyFile{File: file, name: name, fsys: f}, nil
	}
}

// Remove implements FS.
func (f *Faulty) Remove(name string) error {
	if e := f.ask(Call{Op: OpRemove, Name: name}); e.Err != nil {
		return e.Err
	}
	return f.fsys.Remove(name)
}

// Rename implements FS; the rule sees the old name.
func (f *Faulty) Rename(old, new string) error {
	if e := f.ask(Call{Op: OpRename, Name: old}); e.Err != nil {
		return e.Err
	}
	return f.fsys.Rename(old, new)
}

// List implements FS.
func (f *Faulty) List(dir string) ([]string, error) {
	if e := f.ask(Call{Op: OpList, Name: dir}); e.Err != nil {
		return nil, e.Err
	}
	return f.fsys.List(dir)
}

// MkdirAll implements FS.
func (f *Faulty) MkdirAll(dir string) error {
	if e := f.ask(Call{Op: OpMkdir, Name: dir}); e.Err != nil {
		return e.Err
	}
	return f.fsys.MkdirAll(dir)
}

// SyncDir implements FS.
func (f *Faulty) SyncDir(dir string) error {
	if e := f.ask(Call{Op: OpSyncDir, Name: dir}); e.Err != nil {
		return e.Err
	}
	return f.fsys.SyncDir(dir)
}

// Lock implements Locker where the file system below does; no rule applies to it.
func (f *Faulty) Lock(name string) (io.Closer, error) { return Lock(f.fsys, name) }

type faultyFile struct {
	File
	name string
	fsys *Faulty
}

func (f *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	if e := f.fsys.ask(Call{Op: OpRead, Name: f.name, Off: off, Len: len(b)}); e.Err != nil {
		return 0, e.Err
	}
	return f.File.ReadAt(b, off)
}

// NextData implements Sparse.
func (f *faultyFile) NextData(off int64) (int64, error) { return NextData(f.File, off) }

// WriteAt writes half of b before ErrNoSpace, as a disk that fills up does.
func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	e := f.fsys.ask(Call{Op: OpWrite, Name: f.name, Off: off, Len: len(b)})
	if errors.Is(e.Err, ErrNoSpace) {
		n, _ := f.File.WriteAt(b[:len(b)/2], off)
		return n, e.Err
	}
	if e.Err != nil {
		return 0, e.Err
	}
	return f.File.WriteAt(b, off)
}

func (f *faultyFile) Sync() error {
	e := f.fsys.ask(Call{Op: OpSync, Name: f.name})
	if e.Err == nil {
		return f.File.Sync()
	}
	if c, ok := f.File.(interface{ clean() }); ok && !e.Keep {
		c.clean()
	}
	return e.Err
}

func (f *faultyFile) Truncate(size int64) error {
	if e := f.fsys.ask(Call{Op: OpTruncate, Name: f.name}); e.Err != nil {
		return e.Err
	}
	return f.File.Truncate(size)
}
