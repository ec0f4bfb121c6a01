package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
	"holdfast/nemesis/power"
)

// The environment by which a process knows that it is a child of this package.
const (
	roleEnv    = "HOLDFAST_DISK_ROLE"
	roleServer = "serve"
	roleHand   = "hand" // a child that touches a mount for its parent
	syncEnv    = "HOLDFAST_DISK_SYNC"
	namesEnv   = "HOLDFAST_DISK_NAMES"
	powerEnv   = "HOLDFAST_DISK_POWER" // set: a power line is passed on as powerFD
)

// The operations of the control protocol.
const (
	opPing       = "ping"
	opMount      = "mount"
	opCut        = "cut"
	opRelease    = "release"
	opDetach     = "detach"
	opSurvive    = "survive"
	opRemount    = "remount"
	opErase      = "erase"
	opForget     = "remove"
	opStats      = "stats"
	opLast       = "last-sync"
	opWait       = "wait-sync"
	opWaitCancel = "wait-cancel"
	opFault      = "set-fault"
	opAffected   = "affected"
	opFlip       = "flip-bits"
	opRestore    = "restore"
)

// What the server inherits: its end of the control socket, and the power line if there is one.
const (
	controlFD = 3
	powerFD   = 4
)

// Main runs this process as a disk process if it was started as one: then ok is true, and code is what to exit with.
// main and TestMain call it before anything else.
func Main() (code int, ok bool) {
	switch os.Getenv(roleEnv) {
	case roleServer:
		return serve(os.NewFile(controlFD, "control")), true
	case roleHand:
		return runHand(os.Stdin, os.Stdout), true
	}
	return 0, false
}

// server is the disk process.
type server struct {
	gate  sync.RWMutex // see volume.gate
	real  bool
	model vfs.NamesModel
	stall stall
	line  *power.Line // nil: none

	mu      sync.Mutex
	volumes map[string]*volume
	enc     *json.Encoder
	cancel  map[uint64]context.CancelFunc // of waits
}

// serve answers requests until the client's end of the socket closes, then unmounts everything.
func serve(control *os.File) int {
	unix.Umask(0)
	// The client decides when the disk ends: an interrupt meant for the runner must not take its disks away.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTSTP)
	unix.CloseOnExec(controlFD)
	model, err := strconv.Atoi(os.Getenv(namesEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, "disk:", namesEnv, err)
		return 1
	}
	s := &server{real: os.Getenv(syncEnv) == "real", model: vfs.NamesModel(model), volumes: map[string]*volume{},
		enc: json.NewEncoder(control), cancel: map[uint64]context.CancelFunc{}}
	if os.Getenv(powerEnv) != "" {
		unix.CloseOnExec(powerFD)
		if s.line, err = power.Inherit(os.NewFile(powerFD, "power")); err != nil {
			fmt.Fprintln(os.Stderr, "disk:", err)
			return 1
		}
	}
	go s.stall.watch()
	dec := json.NewDecoder(control)
	for {
		var r request
		if err := dec.Decode(&r); err != nil {
			s.shutdown()
			if err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
				return 0
			}
			fmt.Fprintln(os.Stderr, "disk: control socket:", err)
			return 1
		}
		if r.Op == opCut { // at once: even a goroutine's start would be a delay
			s.answer(r)
			continue
		}
		go s.answer(r)
	}
}

// shutdown lets everything go that is held and takes the mounts away from whoever still uses them.
func (s *server) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.volumes {
		if err := s.end(v); err != nil {
			fmt.Fprintf(os.Stderr, "disk: unmount %s: %v\n", v.mountPoint, err)
		}
	}
}

// answer carries out a request and replies.
func (s *server) answer(r request) {
	result, err := s.do(r)
	out := reply{ID: r.ID}
	if err == nil {
		out.Result, err = json.Marshal(result)
	}
	if err != nil {
		out.Error = err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.enc.Encode(out) // a client that has gone is noticed by the reader
}

func (s *server) do(r request) (any, error) {
	switch r.Op {
	case opPing:
		return nil, nil
	case opMount:
		return nil, s.mount(r)
	case opWaitCancel:
		return nil, s.waitCancel(r)
	case opCut:
		return s.cut(r.Nodes)
	case opRelease:
		return nil, s.release(r.Nodes)
	case opRestore:
		return nil, s.restore(r.Nodes)
	}
	vs, err := s.named(r.Nodes)
	if err != nil {
		return nil, err
	}
	if len(vs) != 1 {
		return nil, fmt.Errorf("%d nodes: want one", len(vs))
	}
	return s.doOne(vs[0], r)
}

// doOne carries out a request about one volume.
func (s *server) doOne(v *volume, r request) (any, error) {
	switch r.Op {
	case opDetach:
		return nil, v.detach(false)
	case opSurvive:
		var a surviveArg
		if err := json.Unmarshal(r.Arg, &a); err != nil {
			return nil, err
		}
		return v.survive(a.Seed, a.Loss)
	case opRemount:
		if v.table.byID != nil {
			return nil, errors.New("what survives the cut is not chosen yet")
		}
		return nil, v.mount()
	case opErase:
		return v.erase()
	case opForget:
		return nil, s.remove(v)
	case opStats:
		return s.stats(v), nil
	case opLast, opWait:
		return s.syncs(v, r)
	case opFault:
		return nil, s.setFault(v, r)
	case opAffected:
		var a clearArg
		if err := json.Unmarshal(r.Arg, &a); err != nil {
			return nil, err
		}
		return v.faults.affected(a.Kind, a.End)
	case opFlip:
		var a flipArg
		if err := json.Unmarshal(r.Arg, &a); err != nil {
			return nil, err
		}
		return v.flip(a.Prefix, a.Bits, a.Seed)
	}
	return nil, fmt.Errorf("unknown operation %q", r.Op)
}

func (s *server) setFault(v *volume, r request) error {
	var spec FaultSpec
	if err := json.Unmarshal(r.Arg, &spec); err != nil {
		return err
	}
	if err := v.faults.set(spec); err != nil {
		return err
	}
	if spec.Kind == nemesis.ReadError {
		v.dropCached(spec.Path)
	}
	return nil
}

// named returns the volumes of the nodes.
func (s *server) named(nodes []string) ([]*volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	vs := make([]*volume, 0, len(nodes))
	for _, node := range nodes {
		v := s.volumes[node]
		if v == nil {
			return nil, fmt.Errorf("node %q has no disk", node)
		}
		vs = append(vs, v)
	}
	return vs, nil
}

func (s *server) mount(r request) error {
	var a mountArg
	if err := json.Unmarshal(r.Arg, &a); err != nil {
		return err
	}
	if err := checkPaths(a.Backing, a.MountPoint); err != nil {
		return err
	}
	v := &volume{RawFileSystem: fuseDefaults(), node: r.Nodes[0], backing: a.Backing, mountPoint: a.MountPoint,
		real: s.real, gate: &s.gate, model: s.model, outlet: a.Outlet}
	if err := s.register(v); err != nil {
		return err
	}
	if err := v.mount(); err != nil {
		s.mu.Lock()
		delete(s.volumes, v.node)
		s.mu.Unlock()
		return err
	}
	return nil
}

// register gives a node its volume, which must not share an outlet with another.
func (s *server) register(v *volume) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.volumes[v.node] != nil:
		return fmt.Errorf("node %q has a disk already", v.node)
	case v.outlet < -1 || v.outlet >= power.Outlets:
		return fmt.Errorf("outlet %d: want one below %d, or -1 for none", v.outlet, power.Outlets)
	case v.outlet >= 0 && s.line == nil:
		return fmt.Errorf("outlet %d: the disk process has no power line", v.outlet)
	}
	for _, other := range s.volumes {
		if v.outlet >= 0 && other.outlet == v.outlet {
			return fmt.Errorf("outlet %d supplies node %q already", v.outlet, other.node)
		}
	}
	s.volumes[v.node] = v
	return nil
}

// remove unmounts the volume, by force if need be, and forgets it.
func (s *server) remove(v *volume) error {
	s.mu.Lock()
	delete(s.volumes, v.node)
	s.mu.Unlock()
	return s.end(v)
}

// end lets everything go that v holds and takes its mount away from whoever still uses it.
func (s *server) end(v *volume) error {
	s.gate.Lock()
	if v.cut && !isClosed(v.released) {
		close(v.released)
	}
	s.gate.Unlock()
	var err error
	if v.served != nil {
		err = v.detach(true)
	}
	v.closeTree()
	return err
}

func (s *server) stats(v *volume) statsWire {
	var w statsWire
	w.BackingSync = "none"
	if s.real {
		w.BackingSync = "real"
	}
	w.CPU, w.Stall = cpu(), time.Duration(s.stall.longest.Load())
	v.meter.stats(&w)
	v.mu.Lock()
	defer v.mu.Unlock()
	w.UnsyncedNames = len(v.names.Changes)
	for _, n := range v.table.byID {
		n.mu.Lock()
		w.UnsyncedBytes += int64(n.pages.unsynced()) * pageSize
		n.mu.Unlock()
	}
	return w
}

// syncs answers what is asked about completed fsyncs.
func (s *server) syncs(v *volume, r request) (*syncWire, error) {
	var a waitArg
	if err := json.Unmarshal(r.Arg, &a); err != nil {
		return nil, err
	}
	if r.Op == opLast {
		return v.meter.lastSync(a.Prefix), nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	s.cancel[r.ID] = cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.cancel, r.ID)
		s.mu.Unlock()
		cancel()
	}()
	return v.meter.wait(ctx, a.Prefix, a.After)
}

func (s *server) waitCancel(r request) error {
	var a waitCancelArg
	if err := json.Unmarshal(r.Arg, &a); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.cancel[a.ID]; cancel != nil {
		cancel()
	}
	return nil
}
