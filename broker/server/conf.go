package server

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magiconair/properties"

	"holdfast/broker/durability"
)

// ErrConf says that a broker.conf cannot be used; the text names file, line, key and what is allowed.
var ErrConf = errors.New("broker.conf")

// conf is a broker.conf while it is read: what keys say before it becomes a Config.
type conf struct {
	Config
	brokerIP1, brokerIP2   string
	listenPort, haPort     int
	storeRoot, storeCommit string
	exporter               exporterType
	promHost               string
	promPort               int
}

// exporterType says how metrics are told. Source: MetricsExporterType (RocketMQ 5.3.3), without those that push.
type exporterType string

const (
	exporterDisabled   exporterType = "DISABLE"
	exporterPrometheus exporterType = "PROM"
)

// key is one property of broker.conf.
type key struct {
	name string
	set  func(c *conf, value string) error
	// inert tells why a key of RocketMQ is accepted and does nothing; empty for a key that does something.
	inert string
}

// keys are all properties that are understood, under RocketMQ's own names, and those that only this broker has.
// Source: BrokerConfig, MessageStoreConfig, NettyServerConfig (RocketMQ 5.3.3, 4.9.8).
var keys = []key{
	{name: "brokerClusterName", set: text(func(c *conf) *string { return &c.Node.ClusterName })},
	{name: "brokerName", set: text(func(c *conf) *string { return &c.Node.BrokerName })},
	{name: "brokerId", set: whole(func(c *conf) *int64 { return &c.Node.BrokerID }, 0, 1<<31)},
	{name: "brokerIP1", set: text(func(c *conf) *string { return &c.brokerIP1 })},
	{name: "brokerIP2", set: text(func(c *conf) *string { return &c.brokerIP2 })},
	{name: "listenPort", set: whole(func(c *conf) *int { return &c.listenPort }, 0, 65535)},
	{name: "haListenPort", set: whole(func(c *conf) *int { return &c.haPort }, 0, 65535)},
	{name: "haMasterAddress", set: text(func(c *conf) *string { return &c.Node.HA.MasterAddr })},
	{name: "namesrvAddr", set: func(c *conf, v string) error {
		c.Node.NameServers = Addresses(v)
		return nil
	}},
	{name: "brokerRole", set: word(func(c *conf) *durability.Role { return &c.Node.Choice.Role }, durability.AsyncMaster, durability.SyncMaster, durability.Slave)},
	{name: "flushDiskType", set: word(func(c *conf) *durability.FlushType { return &c.Node.Choice.FlushType }, durability.AsyncFlush, durability.SyncFlush)},
	{name: "holdfastProfile", set: word(func(c *conf) *durability.Profile { return &c.Node.Choice.Profile }, durability.RocketMQ4, durability.RocketMQ5, durability.Holdfast)},
	{name: "inSyncReplicas", set: whole(func(c *conf) *int { return &c.Node.Choice.InSync }, 1, 32)},
	{name: "transientStorePoolEnable", set: boolean(func(c *conf) *bool { return &c.Node.Choice.TransientPool })},
	{name: "flushIntervalCommitLog", set: millis(func(c *conf) *time.Duration { return &c.Node.Choice.FlushInterval }, 1)},
	{name: "flushCommitLogLeastPages", set: whole(func(c *conf) *int { return &c.Node.Choice.FlushPages }, 0, 1<<20)},
	{name: "flushCommitLogThoroughInterval", set: millis(func(c *conf) *time.Duration { return &c.Node.Choice.FlushThorough }, 1)},
	{name: "commitIntervalCommitLog", set: millis(func(c *conf) *time.Duration { return &c.Node.Choice.CommitInterval }, 1)},
	{name: "syncFlushTimeout", set: millis(func(c *conf) *time.Duration { return &c.Node.Choice.DiskTimeout }, 1)},
	{name: "slaveTimeout", set: millis(func(c *conf) *time.Duration { return &c.Node.Choice.SlaveTimeout }, 1)},
	{name: "haSlaveFallbehindMax", set: whole(func(c *conf) *int64 { return &c.Node.Choice.MaxBehind }, 1, 1<<40)},
	{name: "haSendHeartbeatInterval", set: millis(func(c *conf) *time.Duration { return &c.Node.HA.HeartbeatInterval }, 1)},
	{name: "haHousekeepingInterval", set: millis(func(c *conf) *time.Duration { return &c.Node.HA.Housekeeping }, 1)},
	{name: "haTransferBatchSize", set: whole(func(c *conf) *int { return &c.Node.HA.BatchBytes }, 1, 4<<20)},
	{name: "holdfastHaReconnectInterval", set: millis(func(c *conf) *time.Duration { return &c.Node.HA.ReconnectInterval }, 1)},
	{name: "enableControllerMode", set: boolean(func(c *conf) *bool { return &c.Node.Choice.Controlled })},
	{name: "controllerAddr", set: text(func(c *conf) *string { return &c.Node.Controller })},
	{name: "brokerHeartbeatInterval", set: millis(func(c *conf) *time.Duration { return &c.Node.BeatInterval }, 1)},
	{name: "haMaxTimeSlaveNotCatchup", set: millis(func(c *conf) *time.Duration { return &c.Node.MaxTimeBehind }, 1)},
	{name: "slaveReadEnable", set: boolean(func(c *conf) *bool { return &c.Node.SlaveReadEnable })},
	{name: "autoCreateTopicEnable", set: boolean(func(c *conf) *bool { return &c.Node.AutoCreateTopic })},
	{name: "autoCreateSubscriptionGroup", set: boolean(func(c *conf) *bool { return &c.Node.AutoCreateGroup })},
	{name: "defaultTopicQueueNums", set: whole(func(c *conf) *int32 { return &c.Node.DefaultQueues }, 1, 1024)},
	{name: "maxMessageSize", set: whole(func(c *conf) *int { return &c.Node.MaxMessageBytes }, 1, 15<<20)},
	{name: "maxTransferBytesOnMessageInMemory", set: whole(func(c *conf) *int { return &c.Node.MaxPullBytes }, 1, 8<<20)},
	{name: "maxTransferCountOnMessageInMemory", set: whole(func(c *conf) *int32 { return &c.Node.MaxPullMessages }, 1, 1<<16)},
	{name: "registerNameServerPeriod", set: millis(func(c *conf) *time.Duration { return &c.Node.RegisterInterval }, 1)},
	{name: "holdfastSlaveSyncInterval", set: millis(func(c *conf) *time.Duration { c.Node.SyncFirst = 0; return &c.Node.SyncInterval }, 1)},
	{name: "flushConsumerOffsetInterval", set: millis(func(c *conf) *time.Duration { return &c.Node.OffsetsInterval }, 1)},
	{name: "channelExpiredTimeout", set: millis(func(c *conf) *time.Duration { return &c.Node.ChannelExpired }, 1)},
	{name: "storePathRootDir", set: text(func(c *conf) *string { return &c.storeRoot })},
	{name: "storePathCommitLog", set: text(func(c *conf) *string { return &c.storeCommit })},
	{name: "mappedFileSizeCommitLog", set: whole(func(c *conf) *int64 { return &c.Store.SegmentBytes }, 4096, 1<<31)},
	{name: "mappedFileSizeConsumeQueue", set: func(c *conf, v string) error {
		if err := whole(func(c *conf) *int64 { return &c.Store.QueueFileBytes }, 20, 1<<30)(c, v); err != nil {
			return err
		}
		c.Store.QueueFileBytes = (c.Store.QueueFileBytes + 19) / 20 * 20 // rounded up, as RocketMQ does
		return nil
	}},

	{name: "metricsExporterType", set: word(func(c *conf) *exporterType { return &c.exporter }, exporterDisabled, exporterPrometheus)},
	{name: "metricsPromExporterHost", set: text(func(c *conf) *string { return &c.promHost })},
	{name: "metricsPromExporterPort", set: whole(func(c *conf) *int { return &c.promPort }, 0, 65535)},
	{name: "messageIndexEnable", set: func(c *conf, v string) error {
		enabled := !c.Store.NoIndex
		err := boolean(func(*conf) *bool { return &enabled })(c, v)
		c.Store.NoIndex = !enabled
		return err
	}},
	{name: "fileReservedTime", set: func(c *conf, v string) error {
		var hours int64
		err := whole(func(*conf) *int64 { return &hours }, 0, 1<<20)(c, v)
		c.Node.Retention.Reserved = time.Duration(hours) * time.Hour
		return err
	}},
	{name: "deleteWhen", set: func(c *conf, v string) error { return hours(&c.Node.Retention.Hours, v) }},
	{name: "diskMaxUsedSpaceRatio", set: percent(func(c *conf) *int { return &c.Node.Retention.UsedPercent }, 10, 95)},
	{name: "diskSpaceCleanForciblyRatio", set: percent(func(c *conf) *int { return &c.Node.Retention.ForcePercent }, 30, 85)},
	{name: "diskSpaceWarningLevelRatio", set: percent(func(c *conf) *int { return &c.Node.Retention.FullPercent }, 35, 90)},
	{name: "maxHashSlotNum", set: whole(func(c *conf) *int32 { return &c.Store.MaxHashSlots }, 1, 1<<28)},
	{name: "maxIndexNum", set: whole(func(c *conf) *int32 { return &c.Store.MaxIndexes }, 2, 1<<26)},

	{name: "totalReplicas", inert: "inSyncReplicas decides"},
	{name: "minInSyncReplicas", inert: "needs slaveActingMaster or a controller in RocketMQ"},
	{name: "enableAutoInSyncReplicas", inert: "needs slaveActingMaster in RocketMQ"},
	{name: "allAckInSyncStateSet", inert: "needs a controller in RocketMQ"},
	{name: "timerWheelEnable", inert: "there is no timer wheel"},
	{name: "brokerIP2HostName", inert: "addresses only"},
	{name: "listenAddress", inert: "brokerIP1 decides"},
	{name: "sendMessageThreadPoolNums", inert: "there are no thread pools"},
	{name: "pullMessageThreadPoolNums", inert: "there are no thread pools"},
	{name: "useReentrantLockWhenPutMessage", inert: "there is one lock"},
	{name: "warmMapedFileEnable", inert: "files are not mapped"},
	{name: "waitTimeMillsInSendQueue", inert: "there is no send queue"},
	{name: "osPageCacheBusyTimeOutMills", inert: "writes run beside the lock"},
	{name: "traceTopicEnable", inert: "there is no trace topic"},
}

// ReadConf reads the broker.conf at path. Unknown keys, and values outside their range, are errors with file and line.
func ReadConf(path string) (Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConf, err)
	}
	return ParseConf(path, string(raw))
}

// ParseConf is ReadConf of a text; name stands for the file in errors.
func ParseConf(name, body string) (Config, error) {
	p, err := (&properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}).LoadBytes([]byte(body))
	if err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrConf, name, err)
	}
	profile := durability.Profile(p.GetString("holdfastProfile", string(durability.RocketMQ5)))
	c := conf{Config: DefaultConfig(profile), brokerIP1: "127.0.0.1", listenPort: 10911, haPort: -1, promPort: 5557}
	for _, k := range p.Keys() {
		value := strings.TrimSpace(p.GetString(k, ""))
		at := fmt.Sprintf("%s:%d", name, lineOf(body, k))
		i := slices.IndexFunc(keys, func(known key) bool { return known.name == k })
		if i < 0 {
			return Config{}, fmt.Errorf("%w: %s: unknown key %q; the nearest is %q", ErrConf, at, k, nearest(k))
		}
		if keys[i].inert != "" {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: %s has no effect: %s", at, k, keys[i].inert))
			continue
		}
		if err := keys[i].set(&c, value); err != nil {
			return Config{}, fmt.Errorf("%w: %s: %s=%s: %w", ErrConf, at, k, value, err)
		}
	}
	return c.finish(name)
}

// fastPortBelow is how far below listenPort the fast port is. Source: MixAll.brokerVIPChannel (RocketMQ 5.3.3).
const fastPortBelow = 2

// finish derives what several keys say together.
func (c *conf) finish(name string) (Config, error) {
	var err error
	if c.haPort < 0 {
		if c.haPort = c.listenPort + 1; c.listenPort == 0 {
			c.haPort = 0
		}
	}
	if c.brokerIP2 == "" {
		c.brokerIP2 = c.brokerIP1
	}
	if c.Listen, err = address(c.brokerIP1, c.listenPort); err != nil {
		return Config{}, fmt.Errorf("%w: %s: brokerIP1: %w", ErrConf, name, err)
	}
	if c.listenPort > fastPortBelow {
		if c.FastListen, err = address(c.brokerIP1, c.listenPort-fastPortBelow); err != nil {
			return Config{}, fmt.Errorf("%w: %s: brokerIP1: %w", ErrConf, name, err)
		}
	}
	if c.HAListen, err = address(c.brokerIP2, c.haPort); err != nil {
		return Config{}, fmt.Errorf("%w: %s: brokerIP2: %w", ErrConf, name, err)
	}
	if c.exporter == exporterPrometheus {
		if c.promHost == "" {
			c.promHost = c.brokerIP1
		}
		if c.MetricsListen, err = address(c.promHost, c.promPort); err != nil {
			return Config{}, fmt.Errorf("%w: %s: metricsPromExporterHost: %w", ErrConf, name, err)
		}
	}
	if c.storeRoot == "" {
		return Config{}, fmt.Errorf("%w: %s: storePathRootDir is missing", ErrConf, name)
	}
	if c.storeCommit != "" && strings.TrimRight(c.storeCommit, "/") != strings.TrimRight(c.storeRoot, "/")+"/commitlog" {
		return Config{}, fmt.Errorf("%w: %s: storePathCommitLog=%s; allowed: commitlog below storePathRootDir", ErrConf, name, c.storeCommit)
	}
	c.StoreDir = c.storeRoot
	c.Store.IndexTags = c.Node.Choice.Profile != durability.RocketMQ4
	if err := c.Node.Validate(); err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrConf, name, err)
	}
	if err := c.Store.Validate(); err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrConf, name, err)
	}
	return c.Config, nil
}

// Addresses splits a list of addresses at semicolons, commas and spaces.
func Addresses(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
}

func address(ip string, port int) (string, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "", err
	}
	return netip.AddrPortFrom(a, uint16(port)).String(), nil
}

func text(field func(*conf) *string) func(*conf, string) error {
	return func(c *conf, v string) error { *field(c) = v; return nil }
}

func word[T ~string](field func(*conf) *T, allowed ...T) func(*conf, string) error {
	return func(c *conf, v string) error {
		if !slices.Contains(allowed, T(v)) {
			return fmt.Errorf("allowed: %v", allowed)
		}
		*field(c) = T(v)
		return nil
	}
}

func boolean(field func(*conf) *bool) func(*conf, string) error {
	return func(c *conf, v string) error {
		if v != "true" && v != "false" {
			return errors.New("allowed: true, false")
		}
		*field(c) = v == "true"
		return nil
	}
}

func whole[T int | int32 | int64](field func(*conf) *T, low, high int64) func(*conf, string) error {
	return func(c *conf, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < low || n > high {
			return fmt.Errorf("allowed: %d to %d", low, high)
		}
		*field(c) = T(n)
		return nil
	}
}

// percent reads a percentage; what is outside [low, high] becomes low or high, as RocketMQ has it.
func percent(field func(*conf) *int, low, high int) func(*conf, string) error {
	return func(c *conf, v string) error {
		err := whole(field, 0, 100)(c, v)
		*field(c) = max(low, min(*field(c), high))
		return err
	}
}

// hours reads hours of the day with semicolons between, such as "04" or "04;16".
func hours(field *uint32, v string) error {
	set := uint32(0)
	for one := range strings.SplitSeq(v, ";") {
		hour, err := strconv.Atoi(strings.TrimSpace(one))
		if err != nil || hour < 0 || hour > 23 {
			return errors.New("allowed: hours 00 to 23, with semicolons between")
		}
		set |= 1 << hour
	}
	*field = set
	return nil
}

func millis(field func(*conf) *time.Duration, low int64) func(*conf, string) error {
	return func(c *conf, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if high := int64(24 * time.Hour / time.Millisecond); err != nil || n < low || n > high {
			return fmt.Errorf("allowed: %d to %d (ms)", low, high)
		}
		*field(c) = time.Duration(n) * time.Millisecond
		return nil
	}
}

// lineOf returns the number of the last line of body that sets k.
func lineOf(body, k string) int {
	at := 0
	for i, line := range strings.Split(body, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		name, _, _ = strings.Cut(name, ":")
		if strings.TrimSpace(name) == k {
			at = i + 1
		}
	}
	return at
}

// nearest returns the known key with the smallest edit distance to k.
func nearest(k string) string {
	best, bestDistance := "", 1<<30
	for _, known := range keys {
		if d := distance(strings.ToLower(k), strings.ToLower(known.name)); d < bestDistance {
			best, bestDistance = known.name, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
