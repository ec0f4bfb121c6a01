package broker

import (
	"time"

	"holdfast/broker/route"
)

// NameServer is a name server for the same drivers as a Node: the registry of package route behind Step.
type NameServer struct {
	registry *route.Registry
	next     time.Duration // next look at silent brokers
}

// expireInterval is the time between two looks at silent brokers. Source: RouteInfoManager.scanNotActiveBroker (5.3.3).
const expireInterval = 5 * time.Second

// NewNameServer returns a name server that knows no broker.
func NewNameServer(cfg route.Config) (*NameServer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &NameServer{registry: route.New(cfg)}, nil
}

// Intake returns the decoder of one connection's bytes.
func (s *NameServer) Intake(string) *Intake { return &Intake{frames: true} }

// AppendReply appends the frame of r to dst; it needs no lock.
func (s *NameServer) AppendReply(dst []byte, r *Reply) ([]byte, error) {
	return append(dst, r.Frame...), nil
}

// Step takes one event and puts what follows from it into out, which is emptied first.
func (s *NameServer) Step(now Instant, ev *Event, out *Output) {
	out.reset()
	switch ev.Kind {
	case KindReceived:
		for i := range ev.Requests {
			if frame := s.registry.Step(now.Mono, uint64(ev.Conn), &ev.Requests[i].Frame, nil); len(frame) > 0 {
				out.Replies = append(out.Replies, Reply{Conn: ev.Conn, Kind: ReplyFrame, Frame: frame})
			}
		}
	case KindClosed:
		s.registry.Closed(uint64(ev.Conn))
	case KindStop:
		out.Stopped = true
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
}
