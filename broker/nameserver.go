package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"holdfast/broker/remoting"
	"holdfast/broker/route"
	"holdfast/broker/vfs"
)

// NameServer is a name server for the same drivers as a Node: the registry of package route behind Step, and its
// controller if there is one.
type NameServer struct {
	registry   *route.Registry
	next       time.Duration // next look at silent brokers
	controller *route.Controller

	kv      kvFile
	durable bool // the controller's metadata are saved
	saving  bool
	dirty   bool     // changed since the save that is running
	wait    heldTold // for the save that is running
	later   heldTold // for the one after it
	calls   int32
	failed  error

	stopping bool
}

// heldTold is what nobody may hear before the metadata it speaks of are saved.
type heldTold struct {
	replies []Reply
	calls   []Call
}

// metadataFile is where a controller keeps what it decided.
const metadataFile = "config/controller"

// notifyTimeout bounds what a controller waits for a broker that it tells of an election: the next heartbeat tells it, too.
const notifyTimeout = time.Second

// expireInterval is the time between two looks at silent brokers. Source: RouteInfoManager.scanNotActiveBroker (5.3.3).
const expireInterval = 5 * time.Second

// NewNameServer returns a name server that knows no broker. Its KV table is read from fsys and saved there; with a nil fsys it
// lives as long as the process.
func NewNameServer(cfg route.Config, fsys vfs.FS) (*NameServer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &NameServer{registry: route.New(cfg)}
	return s, s.kv.load(s.registry, fsys)
}

// NewController returns a name server that is a controller, too. It reads its metadata from fsys and saves them there; with a
// nil fsys they live as long as the process. cfg.Durable follows from that.
func NewController(cfg route.Config, controller route.ControllerConfig, fsys vfs.FS) (*NameServer, error) {
	s, err := NewNameServer(cfg, fsys)
	if err == nil {
		err = controller.Validate()
	}
	if err != nil {
		return nil, err
	}
	s.durable = fsys != nil
	controller.Durable = s.durable
	var metadata []byte
	if fsys != nil {
		if metadata, err = vfs.ReadFile(fsys, metadataFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("broker: read %s: %w", metadataFile, err)
		}
	}
	if s.controller, err = route.NewController(controller, metadata); err != nil {
		return nil, fmt.Errorf("broker: read %s: %w", metadataFile, err)
	}
	return s, nil
}

// Intake returns the decoder of one connection's bytes.
func (s *NameServer) Intake(string) *Intake { return &Intake{Burst: &Burst{}, frames: true} }

// AppendReply appends the frame of r to dst; it needs no lock.
func (s *NameServer) AppendReply(dst []byte, r *Reply) ([]byte, error) {
	return append(dst, r.Frame...), nil
}

// Step takes one event and puts what follows from it into out, which is emptied first.
func (s *NameServer) Step(now Instant, ev *Event, out *Output) {
	out.reset()
	if s.failed != nil {
		out.Halt = s.failed
		return
	}
	switch ev.Kind {
	case KindReceived:
		for i := range ev.Requests {
			s.request(now.Mono, ev.Conn, &ev.Requests[i].Frame, out)
		}
	case KindClosed:
		s.registry.Closed(uint64(ev.Conn))
		if s.controller != nil {
			s.controller.Closed(uint64(ev.Conn))
		}
	case KindSaved:
		if ev.Name == kvName {
			s.kv.saved(ev.Err, s.registry, out)
		} else {
			s.saved(ev.Err, out)
		}
	case KindStop:
		s.stopping = true
	}
	if s.next == 0 {
		s.next = now.Mono + expireInterval
	}
	if now.Mono >= s.next {
		s.next = now.Mono + expireInterval
		for _, c := range s.registry.Expire(now.Mono) {
			out.Close = append(out.Close, ConnID(c))
		}
	}
	out.WakeAt = s.next
	if s.controller != nil {
		out.WakeAt = earlier(out.WakeAt, s.controller.Tick(now.Mono))
		s.publish(out)
	}
	out.Stopped = s.stopping && !s.kv.saving
	if s.failed != nil {
		*out = Output{Halt: s.failed}
	}
}

func (s *NameServer) request(now time.Duration, c ConnID, f *remoting.Frame, out *Output) {
	if s.controller != nil && !f.IsResponse() {
		if f.Code == remoting.RequestUnregisterBroker {
			if h, err := remoting.ParseBroker(f.Ext); err == nil {
				s.controller.Leave(now, uint64(c), &h)
			}
		}
		if frame, ok := s.controller.Step(now, uint64(c), f); ok {
			if f.Code == remoting.RequestBrokerHeartbeat {
				s.registry.Step(now, uint64(c), f, nil)
			}
			if s.controller.Changed() {
				s.dirty = s.durable
			}
			if len(frame) > 0 && !f.IsOneway() {
				s.tell(Reply{Conn: c, Kind: ReplyFrame, Frame: frame}, out)
			}
			return
		}
	}
	frame := s.registry.Step(now, uint64(c), f, nil)
	if s.kv.changed(s.registry, Reply{Conn: c, Kind: ReplyFrame, Frame: frame}, out) {
		return
	}
	if len(frame) > 0 {
		out.Replies = append(out.Replies, Reply{Conn: c, Kind: ReplyFrame, Frame: frame})
	}
}

// tell gives an answer of the controller out, or holds it until what it speaks of is saved.
func (s *NameServer) tell(r Reply, out *Output) {
	switch {
	case s.dirty:
		s.later.replies = append(s.later.replies, r)
	case s.saving:
		s.wait.replies = append(s.wait.replies, r)
	default:
		out.Replies = append(out.Replies, r)
	}
}

// publish begins to save what changed, and tells the brokers of elections.
func (s *NameServer) publish(out *Output) {
	if s.controller.Changed() {
		s.dirty = s.durable
	}
	for _, n := range s.controller.Notices() {
		s.calls++
		w := remoting.Begin(nil, &remoting.Frame{Code: remoting.RequestNotifyBrokerRoleChanged, Opaque: s.calls, Version: remoting.Version, Language: remoting.Go})
		n.State.Append(&w)
		call := Call{ID: s.calls, Addr: n.Addr, Frame: w.Finish(nil), Timeout: notifyTimeout}
		if s.dirty {
			s.later.calls = append(s.later.calls, call)
		} else {
			out.Calls = append(out.Calls, call)
		}
	}
	if s.dirty && !s.saving {
		s.dirty, s.saving = false, true
		s.wait, s.later = s.later, heldTold{}
		out.Saves = append(out.Saves, Save{Name: metadataFile, Bytes: s.controller.Metadata()})
	}
}

// saved gives out what waited. A controller that cannot save must not decide.
func (s *NameServer) saved(err error, out *Output) {
	if err != nil {
		s.failed = fmt.Errorf("broker: save of %s: %w", metadataFile, err)
		return
	}
	s.saving = false
	out.Replies = append(out.Replies, s.wait.replies...)
	out.Calls = append(out.Calls, s.wait.calls...)
	s.wait = heldTold{}
}
