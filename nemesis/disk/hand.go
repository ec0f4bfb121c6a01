package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A hand is a child process that touches a mount on behalf of a process that must not. It carries out one order after
// the other and dies by SIGKILL, as a node does at a power cut.

// order is one thing that a hand does to a file.
type order struct {
	Op       string // one of the orders below
	Path, To string
	Off      int64
	Size     int64
	Data     []byte
}

// result is what came of an order.
type result struct {
	Errno int // 0: done
	Error string
	Data  []byte
}

const (
	orderWrite    = "write"     // pwrite Data at Off, making the file if need be
	orderSync     = "sync"      // fsync of the file or directory
	orderMap      = "map"       // store Data at Off through a shared mapping of the whole file, which stays mapped
	orderMapSync  = "map-sync"  // msync of the mapping made before
	orderUnmap    = "unmap"     // give up the mapping, which brings its pages to the disk, unsynced
	orderTruncate = "truncate"  // to Size
	orderRename   = "rename"    // Path to To
	orderLink     = "link"      // Path also as To
	orderRemove   = "remove"    // a file or an empty directory
	orderMkdir    = "mkdir"     //
	orderRead     = "read"      // the whole file
	orderSyncEach = "sync-each" // pwrite Data at Off with O_DSYNC
)

// hand is the parent's end.
type hand struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder

	mu   sync.Mutex // one order at a time
	done chan struct{}
}

// startHand starts a hand: this binary again, which Main recognizes.
func startHand() (*hand, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"holdfast-hand"}
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleEnv+"="+roleHand)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &hand{cmd: cmd, in: in, enc: json.NewEncoder(in), dec: json.NewDecoder(out), done: make(chan struct{})}
	return h, nil
}

// do has the order carried out.
func (h *hand) do(o order) (result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.enc.Encode(o); err != nil {
		return result{}, fmt.Errorf("%s %s: %w", o.Op, o.Path, err)
	}
	var r result
	if err := h.dec.Decode(&r); err != nil {
		return result{}, fmt.Errorf("%s %s: the process has ended: %w", o.Op, o.Path, err)
	}
	if r.Error != "" {
		err := error(fmt.Errorf("%s", r.Error))
		if r.Errno != 0 {
			err = syscall.Errno(r.Errno)
		}
		return r, fmt.Errorf("%s %s: %w", o.Op, o.Path, err)
	}
	return r, nil
}

// kill sends SIGKILL; wait waits for the end.
func (h *hand) kill() { _ = h.cmd.Process.Kill() }

func (h *hand) wait() {
	h.in.Close()
	_ = h.cmd.Wait() // it was killed: its status says nothing
}

// runHand is the child.
func runHand(in io.Reader, out io.Writer) int {
	maps := map[string][]byte{}
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := dec.Decode(&o); err != nil {
			return 0
		}
		r := result{}
		data, err := carryOut(maps, o)
		if err != nil {
			r.Error = err.Error()
			var errno syscall.Errno
			if errors.As(err, &errno) {
				r.Errno = int(errno)
			}
		}
		r.Data = data
		if err := enc.Encode(r); err != nil {
			return 1
		}
	}
}

func carryOut(maps map[string][]byte, o order) ([]byte, error) {
	switch o.Op {
	case orderWrite:
		return nil, withFile(o.Path, os.O_RDWR|os.O_CREATE, func(f *os.File) error { return writeOnce(f, o) })
	case orderSyncEach:
		return nil, withFile(o.Path, os.O_RDWR|os.O_CREATE|unix.O_DSYNC, func(f *os.File) error { return writeOnce(f, o) })
	case orderSync:
		return nil, withFile(o.Path, os.O_RDONLY, (*os.File).Sync)
	case orderMap:
		return nil, storeMapped(maps, o)
	case orderMapSync:
		m := maps[o.Path]
		if m == nil {
			return nil, errors.New("not mapped")
		}
		return nil, unix.Msync(m, unix.MS_SYNC)
	case orderUnmap:
		return nil, unmap(maps, o.Path)
	case orderTruncate:
		return nil, os.Truncate(o.Path, o.Size)
	case orderRename:
		return nil, unix.Rename(o.Path, o.To)
	case orderLink:
		return nil, os.Link(o.Path, o.To)
	case orderRemove:
		return nil, os.Remove(o.Path)
	case orderMkdir:
		return nil, os.Mkdir(o.Path, 0o755)
	case orderRead:
		return os.ReadFile(o.Path)
	}
	return nil, fmt.Errorf("unknown order %q", o.Op)
}

func withFile(path string, flag int, f func(*os.File) error) error {
	file, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	return f(file)
}

func writeOnce(f *os.File, o order) error {
	_, err := f.WriteAt(o.Data, o.Off)
	return err
}

// unmap gives up the mapping of a path, if there is one.
func unmap(maps map[string][]byte, path string) error {
	m := maps[path]
	if m == nil {
		return nil
	}
	delete(maps, path)
	return unix.Munmap(m)
}

// storeMapped stores through a mapping that is made once a file: only an msync, an unmapping, or the kernel's own
// write-back brings it to the disk.
func storeMapped(maps map[string][]byte, o order) error {
	if int64(len(maps[o.Path])) < o.Off+int64(len(o.Data)) { // the file has grown since
		if err := unmap(maps, o.Path); err != nil {
			return err
		}
	}
	m := maps[o.Path]
	if m == nil {
		err := withFile(o.Path, os.O_RDWR, func(f *os.File) error {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			m, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			return err
		})
		if err != nil {
			return err
		}
		maps[o.Path] = m
	}
	copy(m[o.Off:], o.Data)
	return nil
}
