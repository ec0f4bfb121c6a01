package broker

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
)

// Config sets up a Node. DefaultConfig fills in RocketMQ's defaults; Validate names what is wrong.
type Config struct {
	ClusterName string         // brokerClusterName
	BrokerName  string         // brokerName: masters and slaves of one group share it
	BrokerID    int64          // brokerId: 0 is the master
	Addr        netip.AddrPort // where clients reach the broker: what name servers tell them, and what message ids hold
	HAAddr      netip.AddrPort // where slaves reach it; the zero value when it serves none
	// Advertised and HAAdvertised replace Addr and HAAddr in what name servers tell: a host name with its port; "" replaces nothing.
	Advertised, HAAdvertised string
	NameServers              []string // addresses; registered at each

	Choice durability.Choice // what makes up the contract
	HA     replica.Config    // of classic HA; its Role and Guard follow from Choice

	// Controller is where the controller is asked, when Choice.Controlled: the broker's role and id are what it says, BrokerID
	// and the role of Choice but the start. With HAAddr.
	Controller    string        // controllerAddr
	Incarnation   int64         // of this process: distinct from that of every other process of this node, not 0
	BeatInterval  time.Duration // brokerHeartbeatInterval
	MaxTimeBehind time.Duration // haMaxTimeSlaveNotCatchup

	SlaveReadEnable  bool  // slaveReadEnable: a slave answers pulls
	AutoCreateTopic  bool  // autoCreateTopicEnable
	AutoCreateGroup  bool  // autoCreateSubscriptionGroup
	DefaultQueues    int32 // defaultTopicQueueNums: queues of the template topic TBW102, [1, 1024]
	MaxMessageBytes  int   // maxMessageSize, body bytes
	MaxPullBytes     int   // maxTransferBytesOnMessageInMemory
	MaxPullMessages  int32 // maxTransferCountOnMessageInMemory
	DiskPullBytes    int   // maxTransferBytesOnMessageInDisk
	DiskPullMessages int32 // maxTransferCountOnMessageInDisk
	// InMemoryBytes is how far behind the end of the log a message counts as in memory; a pull that is farther behind gets less
	// at once, and its consumer is sent to a slave. In RocketMQ accessMessageInMemoryMaxRatio percent of the machine's memory; 0:
	// everything counts as in memory.
	InMemoryBytes    int64
	StoreReplies     bool  // storeReplyMessageEnable: what answers a message is stored, too
	Permission       int32 // brokerPermission: of sends (2) and pulls (4)
	ConfKept         bool  // changes of the configuration are put out as a Save of ConfName
	ResetToZeroBelow bool  // 4.9.3 and before: an offset beyond the end of a queue that begins at 0 is reset to 0

	RegisterInterval time.Duration // registerNameServerPeriod
	SyncInterval     time.Duration // slave: period of topic and offset synchronisation with the master
	SyncFirst        time.Duration // slave: when the first one happens
	OffsetsInterval  time.Duration // flushConsumerOffsetInterval
	ChannelExpired   time.Duration // channelExpiredTimeout: a client without heartbeat is forgotten
	LockLife         time.Duration // rocketmq.broker.rebalance.lockMaxLiveTime
	CallTimeout      time.Duration // of requests to name servers and to the master

	Retention Retention

	Limits Limits
}

// Limits bound every queue and buffer of a Node; what would go beyond is refused with SYSTEM_BUSY.
type Limits struct {
	Waiters     int // puts not yet answered
	Polls       int // parked pulls
	Topics      int
	Groups      int
	Queues      int32 // of one topic
	GroupSize   int   // clients of one group
	PullBytes   int   // of one answer
	OffsetKeys  int   // topic@group pairs with offsets
	Inquiries   int   // requests that read the store
	Relays      int   // requests to clients that they have not answered
	RelaysOfOne int   // ... to one of them
	QueuePolls  int   // parked pulls of one queue: all of them are answered by one message

	ControlBytes  int // body of a request that carries no message: it is read while nothing else is done
	Subscriptions int // groups in one heartbeat, and topics of one of them
	FilterBytes   int // expression of tags: every message that is looked at is held against each of them
	Locks         int // queues that are locked
	LocksAtOnce   int // ... by one request
}

// DefaultLimits are generous for a test cluster and small against memory.
func DefaultLimits() Limits {
	return Limits{Waiters: 1 << 20, Polls: 1 << 17, Topics: 10_000, Groups: 10_000, Queues: 1024, GroupSize: 10_000, PullBytes: 8 << 20, OffsetKeys: 100_000,
		Inquiries: 1024, Relays: 1 << 14, RelaysOfOne: 1024, QueuePolls: 8192, ControlBytes: 1 << 20, Subscriptions: 1024, FilterBytes: 4 << 10, Locks: 10_000, LocksAtOnce: 1024}
}

// DefaultConfig returns RocketMQ's defaults under the semantics of a profile.
func DefaultConfig(p durability.Profile) Config {
	c := Config{
		ClusterName: "DefaultCluster", BrokerName: "broker-a",
		Choice:          durability.DefaultChoice(p),
		AutoCreateTopic: true, AutoCreateGroup: true, DefaultQueues: 8,
		StoreReplies:    true,
		MaxMessageBytes: 4 << 20, MaxPullBytes: 256 << 10, MaxPullMessages: 32, DiskPullBytes: 64 << 10, DiskPullMessages: 8,
		Permission:       remoting.PermRead | remoting.PermWrite,
		RegisterInterval: 30 * time.Second, OffsetsInterval: 5 * time.Second, ChannelExpired: 120 * time.Second,
		LockLife: 60 * time.Second, CallTimeout: 3 * time.Second,
		SyncInterval: 60 * time.Second, SyncFirst: 60 * time.Second,
		BeatInterval: time.Second, MaxTimeBehind: 15 * time.Second,
		Retention: DefaultRetention(),
		Limits:    DefaultLimits(),
	}
	if p == durability.RocketMQ4 {
		c.SyncInterval, c.SyncFirst = 10*time.Second, 3*time.Second
	}
	return c
}

// ErrConfig says that a Config contradicts itself.
var ErrConfig = errors.New("broker: configuration")

// Validate returns ErrConfig with the name of the first bad field and what is allowed.
func (c *Config) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	k := &c.Choice
	switch {
	case k.Profile != durability.RocketMQ4 && k.Profile != durability.RocketMQ5 && k.Profile != durability.Holdfast:
		return bad("holdfastProfile=%s; allowed: rocketmq-4.9, rocketmq-5, holdfast", k.Profile)
	case k.Role != durability.AsyncMaster && k.Role != durability.SyncMaster && k.Role != durability.Slave:
		return bad("brokerRole=%s; allowed: ASYNC_MASTER, SYNC_MASTER, SLAVE", k.Role)
	case k.FlushType != durability.AsyncFlush && k.FlushType != durability.SyncFlush:
		return bad("flushDiskType=%s; allowed: ASYNC_FLUSH, SYNC_FLUSH", k.FlushType)
	case k.Controlled != (c.Controller != ""):
		return bad("enableControllerMode=%t with controllerAddr=%q; one needs the other", k.Controlled, c.Controller)
	case k.Controlled && k.Profile != durability.Holdfast:
		return bad("enableControllerMode=true with holdfastProfile=%s; allowed: holdfast", k.Profile)
	case k.Controlled && k.TransientPool:
		return bad("transientStorePoolEnable=true with enableControllerMode=true; allowed: false")
	case k.Controlled && c.BeatInterval <= 0:
		return bad("brokerHeartbeatInterval=%v; must be above 0", c.BeatInterval)
	case k.Controlled:
	case k.Role == durability.Slave && c.BrokerID <= 0:
		return bad("brokerId=%d; a SLAVE needs one above 0", c.BrokerID)
	case k.Role != durability.Slave && c.BrokerID != 0:
		return bad("brokerId=%d; a master has 0", c.BrokerID)
	case k.Profile == durability.Holdfast && (k.Role == durability.Slave || k.Role == durability.SyncMaster):
		return bad("holdfastProfile=holdfast with brokerRole=%s; two nodes without a controller cannot be both available and safe: set enableControllerMode=true and controllerAddr, or use ASYNC_MASTER, or a rocketmq profile", k.Role)
	}
	return c.validateSizes()
}

// validateSizes checks what does not depend on the role.
func (c *Config) validateSizes() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	switch k := &c.Choice; {
	case k.InSync < 1 || k.InSync > 32:
		return bad("inSyncReplicas=%d; allowed: 1 to 32", k.InSync)
	case c.BrokerName == "" || c.ClusterName == "":
		return bad("brokerName and brokerClusterName must not be empty")
	case c.DefaultQueues < 1 || c.DefaultQueues > c.Limits.Queues:
		return bad("defaultTopicQueueNums=%d; allowed: 1 to %d", c.DefaultQueues, c.Limits.Queues)
	case c.MaxMessageBytes < 1 || c.MaxMessageBytes > 15<<20:
		return bad("maxMessageSize=%d; allowed: 1 to %d", c.MaxMessageBytes, 15<<20)
	}
	return nil
}

// haIdleWait is for how long RocketMQ's idle sender waits when nobody wakes it.
const haIdleWait = 100 * time.Millisecond

// haConfig returns the replication settings that follow from c.
func (c *Config) haConfig() replica.Config {
	ha := c.HA
	ha.Role = replica.RoleMaster
	if c.Choice.Role == durability.Slave {
		ha.Role = replica.RoleSlave
	}
	if c.Choice.Profile != durability.Holdfast && !c.Choice.WaitsForReplicas() {
		ha.IdleWait = haIdleWait
	}
	switch c.Choice.Profile {
	case durability.RocketMQ4:
		ha.Guard = replica.GuardLater
	case durability.Holdfast:
		ha.Guard = replica.GuardAll
	}
	return ha
}

// clientAddr returns where clients reach the broker, as they are told.
func (c *Config) clientAddr() string {
	if c.Advertised != "" {
		return c.Advertised
	}
	return c.Addr.String()
}

// slaveAddr returns where slaves reach the broker, as they are told; "" when it serves none.
func (c *Config) slaveAddr() string {
	switch {
	case !c.HAAddr.IsValid():
		return ""
	case c.HAAdvertised != "":
		return c.HAAdvertised
	}
	return c.HAAddr.String()
}
