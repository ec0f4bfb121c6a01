// Package leftover finds and removes what a run that was killed could not take away itself: processes, mounts of lossy
// disks, and directories that the run had noted. Everything that belongs to a run still alive stays.
//
// A run is known by a mark in the environment of all its processes; the mark names the process that began it.
package leftover

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// markEnv holds the path of the run's notes: DIR/PID-START, with the process id and the start time (clock ticks since
// boot) of the process that began the run, as seen outside of all sandboxes.
const markEnv = "HOLDFAST_RUN"

// Mark marks this process and what it starts as one run, unless it is part of one already. main calls it first.
func Mark() error {
	if os.Getenv(markEnv) != "" {
		return nil
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return fmt.Errorf("leftover: %w", err)
	}
	return os.Setenv(markEnv, filepath.Join(notesDir(), fmt.Sprintf("%d-%d", os.Getpid(), start)))
}

// notesDir is where runs of this user note their directories.
func notesDir() string { return filepath.Join(os.TempDir(), "holdfast-"+strconv.Itoa(os.Geteuid())) }

// Note writes down that dir must not outlive the run. The caller removes dir when it is done with it, then calls forget.
// Without a mark it does nothing.
func Note(dir string) (forget func() error, err error) {
	mark := os.Getenv(markEnv)
	if mark == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(filepath.Dir(mark), 0o700); err != nil {
		return nil, fmt.Errorf("leftover: %w", err)
	}
	// Process ids do not tell notes apart: those of two sandboxes that share a mark are alike.
	note, err := os.CreateTemp(filepath.Dir(mark), filepath.Base(mark)+".*")
	if err != nil {
		return nil, fmt.Errorf("leftover: %w", err)
	}
	_, err = note.WriteString(dir)
	if err = errors.Join(err, note.Close()); err != nil {
		return nil, fmt.Errorf("leftover: %w", errors.Join(err, os.Remove(note.Name())))
	}
	return func() error { return os.Remove(note.Name()) }, nil
}

// Found is what runs that are no more have left.
type Found struct {
	Processes   []int    `json:"processes,omitempty"`   // still running
	Mounts      []string `json:"mounts,omitempty"`      // of lossy disks whose server has gone
	Directories []string `json:"directories,omitempty"` // that exist still
	notes       []string
}

// None reports whether nothing is left but perhaps notes of directories that are gone.
func (f Found) None() bool { return len(f.Processes)+len(f.Mounts)+len(f.Directories) == 0 }

// Find looks for leftovers of this user's runs on this machine.
func Find() (Found, error) {
	var f Found
	if err := f.findProcesses(); err != nil {
		return f, fmt.Errorf("leftover: %w", err)
	}
	if err := f.findMounts(); err != nil {
		return f, fmt.Errorf("leftover: %w", err)
	}
	if err := f.findDirectories(); err != nil {
		return f, fmt.Errorf("leftover: %w", err)
	}
	return f, nil
}

func (f *Found) findProcesses() error {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range all {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil {
			continue // another user's, or just gone
		}
		for kv := range bytes.SplitSeq(env, []byte{0}) {
			mark, ok := strings.CutPrefix(string(kv), markEnv+"=")
			if ok && mark != os.Getenv(markEnv) && !alive(mark) {
				pid, _ := strconv.Atoi(filepath.Base(dir))
				f.Processes = append(f.Processes, pid)
			}
		}
	}
	return nil
}

// findMounts looks for FUSE mounts of ours that answer ENOTCONN: their server has gone. Whatever does not answer at once
// has a server, and belongs to a run.
func (f *Found) findMounts() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[2] != "fuse.holdfast" {
			continue
		}
		answer := make(chan error, 1)
		go func() {
			var st unix.Stat_t
			answer <- unix.Stat(fields[1], &st)
		}()
		select {
		case err := <-answer:
			if errors.Is(err, syscall.ENOTCONN) {
				f.Mounts = append(f.Mounts, fields[1])
			}
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

func (f *Found) findDirectories() error {
	entries, err := os.ReadDir(notesDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		note := filepath.Join(notesDir(), e.Name())
		mark, _, _ := strings.Cut(e.Name(), ".")
		if alive(mark) {
			continue
		}
		f.notes = append(f.notes, note)
		dir, err := os.ReadFile(note)
		if err != nil {
			continue // its run has just ended
		}
		if _, err := os.Lstat(string(dir)); err == nil {
			f.Directories = append(f.Directories, string(dir))
		}
	}
	return nil
}

// Clean removes what was found: processes first, which may hold mounts, which may lie in directories.
func (f Found) Clean() error {
	var errs []error
	for _, pid := range f.Processes {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			errs = append(errs, fmt.Errorf("kill %d: %w", pid, err))
		}
	}
	for _, mount := range slices.Backward(f.Mounts) {
		if err := unix.Unmount(mount, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", mount, err))
		}
	}
	for _, dir := range f.Directories {
		errs = append(errs, os.RemoveAll(dir))
	}
	for _, note := range f.notes {
		if err := os.Remove(note); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// alive reports whether the process that began the run still lives. What it cannot read it takes for alive.
func alive(mark string) bool {
	pidText, startText, ok := strings.Cut(filepath.Base(mark), "-")
	pid, err1 := strconv.Atoi(pidText)
	start, err2 := strconv.ParseUint(startText, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return true
	}
	now, err := startTime(pid)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	return err != nil || now == start
}

// startTime returns when the process started, in clock ticks since boot: with the id it names a process for good.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the name before it may hold anything
	const startField = 22 - 3                                                 // the first of fields is the third of the file
	if len(fields) <= startField {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, stat)
	}
	if fields[0] == "Z" {
		return 0, os.ErrNotExist
	}
	return strconv.ParseUint(fields[startField], 10, 64)
}
