package replica

import (
	"encoding/binary"
	"fmt"
	"time"

	"holdfast/broker/durability"
)

// headerBytes is the size of the master's header: an offset (i64) and a size (i32). A slave's report is an offset alone.
const (
	headerBytes = 12 // at most HeaderBytes
	reportBytes = 8
	// maxChunkBytes is the largest chunk that a slave takes. Source: HAClient.READ_MAX_BUFFER_SIZE (RocketMQ 4.9.8).
	maxChunkBytes = 4 << 20
)

// Guard says what a master does with a report that lies beyond its own log: the trace of a tail that it has lost.
type Guard uint8

// Guards.
const (
	// GuardNone believes every report: RocketMQ 5.0 to 5.3.3 and up to 4.9.2.
	GuardNone Guard = iota
	// GuardLater closes the connection at such a report, unless it is the first: RocketMQ 4.9.3 to 4.9.8.
	GuardLater
	// GuardAll refuses every such report and counts none of them: what RocketMQ lacks.
	GuardAll
)

// Config sets up a Primary. The zero value of a field means RocketMQ's default.
type Config struct {
	Role              Role
	Guard             Guard
	HeartbeatInterval time.Duration // haSendHeartbeatInterval, default 5 s
	Housekeeping      time.Duration // haHousekeepingInterval, default 20 s: without a whole report, or a byte of the master, for so long a peer is given up
	ReconnectInterval time.Duration // pause of a slave before it connects again, default 5 s (a constant in RocketMQ)
	BatchBytes        int           // haTransferBatchSize, default 32 KiB, at most 4 MiB
	WindowBytes       int           // bytes emitted for one slave and not yet drained, default 1 MiB
	// IdleWait is for how long a master with nothing to send does not look again: 100 ms in RocketMQ where no put waits for the slave and
	// wakes the sender. 0: it sends at once. Source: DefaultHAConnection.WriteSocketService, WaitNotifyObject (RocketMQ 5.3.3).
	IdleWait   time.Duration
	MasterAddr string // haMasterAddress: dial it without waiting for the name server
}

// WithDefaults returns c with its zero values replaced by what they stand for.
func (c Config) WithDefaults() Config {
	c.defaults()
	return c
}

func (c *Config) defaults() {
	set(&c.HeartbeatInterval, 5*time.Second)
	set(&c.Housekeeping, 20*time.Second)
	set(&c.ReconnectInterval, 5*time.Second)
	set(&c.BatchBytes, 32<<10)
	set(&c.WindowBytes, 1<<20)
}

func set[T time.Duration | int](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Primary is RocketMQ's classic high availability, for both sides, byte compatible with it.
//
// It carries RocketMQ's flaw on purpose: a master that lost its tail meets a longer slave, believes the slave's report, and
// from then on acknowledges puts that the slave does not have, while the slave keeps what the master lost. Nothing compares
// the two logs. Config.Guard says how much of it the profile has.
// Source: HAService, HAConnection, HAClient (RocketMQ 4.9.8), DefaultHAConnection, DefaultHAClient (5.3.3).
type Primary struct {
	cfg    Config
	slaves []*slaveConn // master: connected slaves by ascending connection
	acks   []durability.Replica
	pushed Offset
	link   link // slave: the connection to the master
}

// NewPrimary returns a state machine that has no connection yet.
func NewPrimary(cfg Config) (*Primary, error) {
	cfg.defaults()
	if cfg.BatchBytes < 1 || cfg.BatchBytes > maxChunkBytes {
		return nil, fmt.Errorf("replica: haTransferBatchSize %d is not in [1, %d]", cfg.BatchBytes, maxChunkBytes)
	}
	return &Primary{cfg: cfg, link: link{addr: cfg.MasterAddr}}, nil
}

// Role returns the role played.
func (p *Primary) Role() Role { return p.cfg.Role }

// Epoch is 0: classic HA has none, which is its flaw.
func (p *Primary) Epoch() int32 { return 0 }

// Marks fills in the slaves' reports.
func (p *Primary) Marks(m *durability.Marks) {
	m.Replicas, m.Pushed, m.Connections = p.acks, p.pushed, len(p.slaves)
}

// Peers appends the connected peers to dst.
func (p *Primary) Peers(dst []Peer) []Peer {
	if p.cfg.Role == RoleSlave {
		if p.link.state == linkUp {
			dst = append(dst, Peer{Conn: p.link.conn, Addr: p.link.addr, Acked: p.link.reported, Next: -1, LastRead: p.link.lastRead, LastSent: p.link.lastWrite})
		}
		return dst
	}
	for _, s := range p.slaves {
		dst = append(dst, Peer{Conn: s.conn, Addr: s.addr, Acked: s.acked, Next: s.next, LastRead: s.lastRead, LastSent: s.lastWrite})
	}
	return dst
}

// Step takes one event and adds what follows from it to out.
func (p *Primary) Step(now time.Duration, ev *Event, out *Out) {
	if p.cfg.Role == RoleSlave {
		p.stepSlave(now, ev, out)
		out.WakeAt = p.link.wakeAt(now, &p.cfg)
		return
	}
	p.stepMaster(now, ev, out)
	out.WakeAt = p.masterWakeAt()
}

func putHeader(e *Envelope, at Offset, size int) {
	binary.BigEndian.PutUint64(e.Header[:8], uint64(at))
	binary.BigEndian.PutUint32(e.Header[8:], uint32(size))
	e.Len, e.From, e.Size = headerBytes, at, int32(size)
}
