// Package server drives one node, a broker or a name server, with sockets, disk threads and timers. It decides nothing:
// whoever has an event takes the lock, calls Step, appends what came out to outboxes under that lock, and does the system
// calls outside it. Each outbox has one drainer at a time, so that replies and replication leave in the order of the Steps.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/broker"
	"holdfast/broker/durability"
	"holdfast/broker/route"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// Config sets up a Server.
type Config struct {
	Node     broker.Config
	Store    store.Config
	StoreDir string // directory of the store; "" keeps it in memory
	Listen   string // address for clients, "" is 127.0.0.1:0; port 0 chooses one
	HAListen string // address for slaves; "" serves none
	// FastListen is a second address for clients: slaves of Apache RocketMQ copy topics and groups' settings over the port two below
	// their master's, and so do clients with vipChannelEnabled. One that is taken is left alone, with a warning. "" serves none.
	FastListen string
	ConfPath   string // the broker.conf that this is from; changes of the configuration go there. With Node.ConfKept
	// MemoryRatio is the part of the machine's memory, in percent, within which from its end the log counts as in memory, unless
	// Node.InMemoryBytes says it. accessMessageInMemoryMaxRatio, default 40.
	MemoryRatio int
	// Advertise is the host name or address that name servers tell clients, with the port of Listen; "" is the address of Listen,
	// 127.0.0.1 when that is every address. HAAdvertise is for slaves what Advertise is for clients; "" is Advertise.
	Advertise, HAAdvertise string
	// MetricsListen is the address of /metrics, /healthz and /readyz; "" serves none.
	MetricsListen string
	Limits        Limits
	Notes         []string
	Seed          uint64 // of the choice of queues; 0 draws one
	// ClockPage is a file by which a nemesis skews the node's wall clock (see skewPage); "": the clock is the real one.
	ClockPage string

	FS   vfs.FS                                                   // replaces StoreDir
	Log  *slog.Logger                                             // nil: slog.Default()
	Bind func(addr string) (net.Listener, error)                  // nil: TCP
	Dial func(ctx context.Context, addr string) (net.Conn, error) // nil: TCP
}

// DefaultConfig returns RocketMQ's defaults under the semantics of a profile.
func DefaultConfig(p durability.Profile) Config {
	return Config{Node: broker.DefaultConfig(p), MemoryRatio: 40}
}

// machine is what the driver needs of a node.
type machine interface {
	Step(now broker.Instant, ev *broker.Event, out *broker.Output)
	AppendReply(dst []byte, r *broker.Reply) ([]byte, error)
	Intake(addr string) *broker.Intake
}

// ErrStart wraps what keeps a server from starting; the text says what and where.
var ErrStart = errors.New("start")

// Server is a running node.
type Server struct {
	cfg      Config
	log      *slog.Logger
	node     machine
	store    *store.Store
	fs       vfs.FS
	metadata io.Closer // the lock of a controller's directory
	begun    time.Time
	skew     *skewPage // nil: the wall clock is the real one

	listener, haListener net.Listener
	fastListener         net.Listener
	monitor              monitor

	mu        sync.Mutex // guards everything below and the node
	out       broker.Output
	conns     connTable
	doorman   doorman
	newcomers newcomers
	holds     holds
	rpc       *rpcLatency
	peers     peerTable
	timer     *time.Timer
	armed     time.Duration // when the timer fires; 0: not armed
	stopped   bool
	closing   bool
	failed    error
	joined    bool // a name server has the broker
	joinedCh  chan struct{}

	limits Limits
	tick   atomic.Int64  // of watch
	large  atomic.Int64  // bytes of buffers for large frames
	gone   chan *conn    // connections that have ended
	loads  chan struct{} // a place for each read of a consume queue
	desks  desks

	syncInline bool // acknowledgements wait for syncs: readers may run them
	disk       disks
	calls      caller
	workers    sync.WaitGroup
	done       chan struct{} // closed when the node has stopped or failed
	unwatch    func() bool   // of the context that ends the server
	end        sync.Once
	ended      error // what went wrong at the end
}

// Start opens the store, listens, and serves clients until ctx ends or Close is called, whichever is first: both end the
// server in order, and Close after the end of ctx returns when all is done. Errors (ErrStart) leave nothing behind.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	return start(ctx, cfg, (*Server).open)
}

// StartNameServer is Start for a name server. Its KV table is in cfg.StoreDir, or cfg.FS; without either it lives as long as the
// process.
func StartNameServer(ctx context.Context, cfg Config, routes route.Config) (*Server, error) {
	cfg.HAListen = ""
	return start(ctx, cfg, func(s *Server) error {
		return s.openNames(func(fs vfs.FS) (*broker.NameServer, error) { return broker.NewNameServer(routes, fs) })
	})
}

// start listens, lets open make the node, and serves it.
func start(ctx context.Context, cfg Config, open func(*Server) error) (*Server, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	for _, host := range []string{cfg.Advertise, cfg.HAAdvertise} {
		if err := CheckAdvertise(host); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrStart, err)
		}
	}
	s := newServer(cfg)
	if err := s.listen(); err != nil {
		return nil, err
	}
	if err := open(s); err != nil {
		s.closeListeners()
		if !errors.Is(err, ErrStart) {
			err = fmt.Errorf("%w: %w", ErrStart, err)
		}
		return nil, err
	}
	s.run()
	s.log.Info("started", "addr", s.Addr(), "ha", s.HAAddr(), "metrics", s.MetricsAddr())
	set := make(chan struct{})
	s.unwatch = context.AfterFunc(ctx, func() {
		<-set
		s.Close()
	})
	close(set)
	return s, nil
}

// StartController is StartNameServer for a name server that is a controller, too. Its metadata are in cfg.StoreDir, or cfg.FS;
// without either they live as long as the process.
func StartController(ctx context.Context, cfg Config, routes route.Config, controller route.ControllerConfig) (*Server, error) {
	cfg.HAListen = ""
	return start(ctx, cfg, func(s *Server) error {
		return s.openNames(func(fs vfs.FS) (*broker.NameServer, error) { return broker.NewController(routes, controller, fs) })
	})
}

// openNames locks the directory of a name server, if it has one, and makes the node.
func (s *Server) openNames(open func(vfs.FS) (*broker.NameServer, error)) error {
	s.fs = s.cfg.FS
	if s.fs == nil && s.cfg.StoreDir != "" {
		s.fs = vfs.OS(s.cfg.StoreDir)
	}
	if s.fs != nil {
		err := s.fs.MkdirAll("config")
		if err == nil {
			err = s.fs.SyncDir(".")
		}
		if err == nil {
			s.metadata, err = vfs.Lock(s.fs, "lock")
		}
		if err != nil {
			return fmt.Errorf("directory of the name server %s: %w", s.cfg.StoreDir, err)
		}
	}
	node, err := open(s.fs)
	if err != nil {
		if s.metadata != nil {
			err = errors.Join(err, s.metadata.Close())
		}
		return err
	}
	s.node = node
	return nil
}

func newServer(cfg Config) *Server {
	s := &Server{cfg: cfg, log: cfg.Log, begun: time.Now(), done: make(chan struct{}), joinedCh: make(chan struct{}), unwatch: func() bool { return true }}
	s.rpc = newRPCLatency(&cfg.Node)
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.cfg.Listen == "" {
		s.cfg.Listen = "127.0.0.1:0"
	}
	if s.cfg.Bind == nil {
		s.cfg.Bind = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	if s.cfg.Dial == nil {
		dialer := net.Dialer{Timeout: 3 * time.Second}
		s.cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }
	}
	if node := &s.cfg.Node; node.InMemoryBytes == 0 {
		node.InMemoryBytes = memoryBytes() / 100 * int64(cfg.MemoryRatio)
	}
	s.limits = cfg.Limits.withDefaults()
	s.tick.Store(1)
	s.gone = make(chan *conn)
	s.loads = make(chan struct{}, s.limits.loadsAtOnce)
	s.doorman.byAddress = map[netip.Addr]int{}
	s.disk.init()
	s.desks.init(s)
	s.calls.init(s)
	return s
}

func (s *Server) listen() error {
	var err error
	if s.listener, err = s.cfg.Bind(s.cfg.Listen); err != nil {
		return fmt.Errorf("%w: listen on %s: %w", ErrStart, s.cfg.Listen, err)
	}
	if err := s.listenMonitor(); err != nil {
		s.closeListeners()
		return err
	}
	s.listenFast()
	if s.cfg.HAListen == "" {
		return nil
	}
	if s.haListener, err = s.cfg.Bind(s.cfg.HAListen); err != nil {
		s.closeListeners()
		return fmt.Errorf("%w: listen for slaves on %s: %w", ErrStart, s.cfg.HAListen, err)
	}
	return nil
}

// listenFast opens the second port for clients. A broker that does without it serves all but slaves of Apache RocketMQ, which then
// copy the log and no topics: no reason not to start.
func (s *Server) listenFast() {
	if s.cfg.FastListen == "" {
		return
	}
	l, err := s.cfg.Bind(s.cfg.FastListen)
	if err != nil {
		s.log.Warn("the fast port is not served: slaves of Apache RocketMQ cannot copy topics from here", "addr", s.cfg.FastListen, "err", err)
		return
	}
	s.fastListener = l
}

// open opens the store and makes the node over it.
func (s *Server) open() error {
	s.fs = s.cfg.FS
	if s.fs == nil && s.cfg.StoreDir != "" {
		s.fs = vfs.OS(s.cfg.StoreDir)
	}
	if s.fs == nil {
		s.fs = vfs.Locked(vfs.NewMem())
	}
	if err := s.fs.MkdirAll("config"); err != nil {
		return fmt.Errorf("%w: store %s: %w", ErrStart, s.cfg.StoreDir, err)
	}
	st, recovery, err := store.Open(s.fs, s.cfg.Store)
	if err != nil {
		return fmt.Errorf("%w: store %s: %w", ErrStart, s.cfg.StoreDir, err)
	}
	level := slog.LevelInfo
	if recovery.CutBytes > 0 || recovery.Removed > 0 {
		level = slog.LevelWarn // data was thrown away
	}
	s.log.Log(context.Background(), level, "store opened", "dir", s.cfg.StoreDir, "recovery", recovery.String())
	s.store = st
	if s.cfg.ClockPage != "" {
		if s.skew, err = openSkewPage(s.cfg.ClockPage); err != nil {
			st.Close()
			return fmt.Errorf("%w: clock: %w", ErrStart, err)
		}
	}
	s.advertise()
	if s.cfg.Node.Incarnation == 0 {
		s.cfg.Node.Incarnation = time.Now().UnixNano() // also of a machine whose clock was set back: a nanosecond is not met twice
	}
	if s.cfg.Node.Retention.Zone == 0 {
		_, seconds := time.Now().Zone()
		s.cfg.Node.Retention.Zone = time.Duration(seconds) * time.Second
	}
	seed := s.cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	node, err := broker.New(s.cfg.Node, st, s.fs, rand.New(rand.NewPCG(seed, 0)))
	if err != nil {
		st.Close()
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	s.node = node
	s.syncInline = node.Contract().Ack.Local == durability.LevelSynced
	return nil
}

func (s *Server) run() {
	s.timer = time.AfterFunc(time.Hour, s.woke)
	s.timer.Stop()
	s.spawn(s.writer)
	s.spawn(s.syncer)
	s.spawn(s.auxer)
	s.spawn(s.watch)
	s.spawn(s.undertake)
	if s.store != nil {
		s.spawn(s.caretaker)
	}
	s.spawn(func() { s.accept(s.listener, s.serveClient) })
	if s.fastListener != nil {
		s.spawn(func() { s.accept(s.fastListener, s.serveClient) })
	}
	if s.haListener != nil {
		s.spawn(func() { s.accept(s.haListener, s.serveSlave) })
	}
	if s.monitor.listener != nil {
		s.serveMonitor()
	}
	s.newStepper().step(&broker.Event{Kind: broker.KindWoke})
}

func (s *Server) spawn(f func()) {
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		f()
	}()
}

// Addr returns the address for clients.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// HAAddr returns the address for slaves; "" when none are served.
func (s *Server) HAAddr() string {
	if s.haListener == nil {
		return ""
	}
	return s.haListener.Addr().String()
}

// Registered is closed when a name server has taken the broker.
func (s *Server) Registered() <-chan struct{} { return s.joinedCh }

// Done is closed when the server has ended by itself; Err tells why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server ended by itself, nil while it runs.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// closeTimeout bounds an orderly end: a disk that does not answer must not hold it for ever.
const closeTimeout = 10 * time.Second

// Close ends the server in order: what is in memory goes to the disk, the store is closed. It returns what went wrong, also
// when it is called again, or when the context has ended the server.
func (s *Server) Close() error {
	s.end.Do(func() {
		s.unwatch()
		begun := time.Now()
		s.log.Info("stopping")
		if s.ended = s.finish(); s.ended == nil {
			s.log.Info("stopped", "after", time.Since(begun))
		}
	})
	return s.ended
}

func (s *Server) finish() error {
	s.stopAccepting()
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed == nil {
		s.newStepper().step(&broker.Event{Kind: broker.KindStop})
		select {
		case <-s.done:
			s.answerWhatIsLeft()
		case <-time.After(closeTimeout):
			s.fail(fmt.Errorf("not stopped within %v", closeTimeout))
		}
	}
	s.tearDown()
	s.workers.Wait()
	if s.metadata != nil {
		s.metadata.Close()
	}
	if s.store != nil && s.Err() == nil {
		return s.store.Close()
	}
	return s.Err()
}

// farewell bounds what the answers of the last Steps may take: a client that does not read must not hold the end.
const farewell = 200 * time.Millisecond

// answerWhatIsLeft waits until the outboxes are empty: the last acknowledgements are decided with the end of the last write, and
// other goroutines carry them out.
func (s *Server) answerWhatIsLeft() {
	s.mu.Lock()
	conns := s.conns.all()
	s.mu.Unlock()
	end := time.Now().Add(farewell)
	for _, c := range conns {
		for !c.drained() && time.Now().Before(end) {
			time.Sleep(time.Millisecond)
		}
	}
}

// tearDown ends every goroutine that waits for a socket or for work.
func (s *Server) tearDown() {
	s.mu.Lock()
	again := s.closing
	s.closing = true
	conns, peers := s.conns.all(), s.peers.all()
	for nc := range s.newcomers.conns {
		nc.Close()
	}
	s.timer.Stop()
	s.mu.Unlock()
	s.closeListeners()
	for _, c := range conns {
		c.close()
	}
	for _, p := range peers {
		p.close()
	}
	s.calls.close()
	if !again {
		s.disk.close()
		s.monitor.server.Close()
	}
}

func (s *Server) closeListeners() {
	s.stopAccepting()
	if s.monitor.listener != nil {
		s.monitor.listener.Close()
	}
}

func (s *Server) stopAccepting() {
	for _, l := range []net.Listener{s.listener, s.fastListener, s.haListener} {
		if l != nil {
			l.Close()
		}
	}
}

// fail ends the server because it cannot go on safely.
func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failLocked(err)
}

func (s *Server) failLocked(err error) {
	if s.failed == nil && !s.stopped {
		s.failed = err
		close(s.done)
		s.log.Error("halted", "err", err)
	}
}

// now returns the instant of an event. The caller holds the lock.
func (s *Server) now() broker.Instant {
	t := time.Now()
	at := broker.Instant{Mono: t.Sub(s.begun) + 1}
	if s.skew != nil {
		at.Wall = s.skew.wall(t.UnixNano())
	} else {
		at.Wall = t.UnixMilli()
	}
	return at
}
