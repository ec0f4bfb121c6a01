package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/magiconair/properties"

	"holdfast/broker"
	"holdfast/broker/durability"
	"holdfast/broker/setting"
)

// ErrConf says that a broker.conf cannot be used; the text names file, line, key and what is allowed.
var ErrConf = errors.New("broker.conf")

// conf is a broker.conf while it is read: what keys say before it becomes a Config.
type conf struct {
	Config
	bindAddress            string
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

// keys are all properties that are understood, under RocketMQ's own names, and those that only this broker has: the node's
// settings, those of what is around it, and what is accepted and does nothing.
var keys = append(nodeKeys(), fileKeys...)

func nodeKeys() (keys []key) {
	for _, s := range broker.Settings() {
		keys = append(keys, key{name: s.Name, set: func(c *conf, v string) error { return s.Set(&c.Node, v) }})
	}
	return keys
}

func fileKey(s setting.Setting[conf]) key { return key{name: s.Name, set: s.Set} }

// Source: BrokerConfig, MessageStoreConfig, NettyServerConfig (RocketMQ 5.3.3, 4.9.8).
var fileKeys = []key{
	fileKey(host("brokerIP1", func(c *conf) *string { return &c.brokerIP1 })),
	fileKey(host("brokerIP2", func(c *conf) *string { return &c.brokerIP2 })),
	fileKey(setting.Text("bindAddress", func(c *conf) *string { return &c.bindAddress })),
	fileKey(setting.Whole("listenPort", func(c *conf) *int { return &c.listenPort }, 0, 65535)),
	fileKey(setting.Whole("haListenPort", func(c *conf) *int { return &c.haPort }, 0, 65535)),
	fileKey(setting.Text("storePathRootDir", func(c *conf) *string { return &c.storeRoot })),
	fileKey(setting.Text("storePathCommitLog", func(c *conf) *string { return &c.storeCommit })),
	fileKey(setting.Whole("mappedFileSizeCommitLog", func(c *conf) *int64 { return &c.Store.SegmentBytes }, 4096, 1<<31)),
	{name: "mappedFileSizeConsumeQueue", set: func(c *conf, v string) error {
		if err := setting.Whole("", func(c *conf) *int64 { return &c.Store.QueueFileBytes }, 20, 1<<30).Set(c, v); err != nil {
			return err
		}
		c.Store.QueueFileBytes = (c.Store.QueueFileBytes + 19) / 20 * 20 // rounded up, as RocketMQ does
		return nil
	}},

	fileKey(seconds("serverChannelMaxIdleTimeSeconds", func(c *conf) *time.Duration { return &c.Limits.Idle })),
	fileKey(setting.Whole("holdfastMaxConnections", func(c *conf) *int { return &c.Limits.Connections }, 1, 1<<20)),
	fileKey(setting.Whole("holdfastMaxConnectionsPerAddress", func(c *conf) *int { return &c.Limits.PerAddress }, 1, 1<<20)),
	fileKey(setting.Whole("holdfastMaxSlaves", func(c *conf) *int { return &c.Limits.Slaves }, 1, 1<<10)),
	fileKey(setting.Whole("holdfastMaxRequestsPerConnection", func(c *conf) *int { return &c.Limits.Requests }, 1, 1<<20)),
	fileKey(setting.Whole("holdfastMaxUnreadBytes", func(c *conf) *int { return &c.Limits.UnreadBytes }, 1<<20, 1<<34)),
	fileKey(setting.Whole("holdfastMaxLargeFrameBytes", func(c *conf) *int64 { return &c.Limits.LargeFrames }, 1<<20, 1<<40)),
	fileKey(setting.Millis("holdfastFrameTimeout", func(c *conf) *time.Duration { return &c.Limits.FrameTime }, 1)),
	fileKey(setting.Millis("holdfastSlaveTimeout", func(c *conf) *time.Duration { return &c.Limits.SlaveTime }, 1)),
	fileKey(setting.Millis("holdfastWriteTimeout", func(c *conf) *time.Duration { return &c.Limits.WriteTime }, 1)),
	fileKey(setting.Word("metricsExporterType", func(c *conf) *exporterType { return &c.exporter }, exporterDisabled, exporterPrometheus)),
	fileKey(setting.Text("metricsPromExporterHost", func(c *conf) *string { return &c.promHost })),
	fileKey(setting.Whole("metricsPromExporterPort", func(c *conf) *int { return &c.promPort }, 0, 65535)),
	{name: "messageIndexEnable", set: func(c *conf, v string) error {
		enabled := !c.Store.NoIndex
		err := setting.Bool("", func(*conf) *bool { return &enabled }).Set(c, v)
		c.Store.NoIndex = !enabled
		return err
	}},
	fileKey(setting.Whole("maxHashSlotNum", func(c *conf) *int32 { return &c.Store.MaxHashSlots }, 1, 1<<28)),
	fileKey(setting.Bool("holdfastCutCorrupt", func(c *conf) *bool { return &c.Store.CutCorrupt })),
	fileKey(setting.Whole("maxIndexNum", func(c *conf) *int32 { return &c.Store.MaxIndexes }, 2, 1<<26)),

	fileKey(setting.Whole("accessMessageInMemoryMaxRatio", func(c *conf) *int { return &c.MemoryRatio }, 0, 100)),
	{name: "totalReplicas", inert: "inSyncReplicas decides"},
	{name: "minInSyncReplicas", inert: "needs slaveActingMaster or a controller in RocketMQ"},
	{name: "enableAutoInSyncReplicas", inert: "needs slaveActingMaster in RocketMQ"},
	{name: "allAckInSyncStateSet", inert: "needs a controller in RocketMQ"},
	{name: "timerWheelEnable", inert: "there is no timer wheel"},
	{name: "brokerIP2HostName", inert: "addresses only"},
	{name: "listenAddress", inert: "bindAddress decides, or brokerIP1 without it"},
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
	cfg, err := ParseConf(path, string(raw))
	cfg.ConfPath, cfg.Node.ConfKept = path, true
	return cfg, err
}

// ParseConf is ReadConf of a text; name stands for the file in errors.
func ParseConf(name, body string) (Config, error) {
	p, err := (&properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}).LoadBytes([]byte(body))
	if err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrConf, name, err)
	}
	profile := durability.Profile(p.GetString("holdfastProfile", string(durability.RocketMQ5)))
	c := conf{Config: DefaultConfig(profile), listenPort: 10911, haPort: -1, promPort: 5557}
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
	if err := c.listenAt(name); err != nil {
		return Config{}, err
	}
	if c.exporter == exporterPrometheus {
		if c.promHost == "" {
			c.promHost, _, _ = net.SplitHostPort(c.Listen)
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

// listenAt says where the broker listens: at bindAddress, which is RocketMQ 5's key, and then brokerIP1 and brokerIP2 are only what
// others are told; without it at brokerIP1 and brokerIP2 themselves, so that nothing is open to others by accident.
// Source: NettyServerConfig.bindAddress (RocketMQ 5.3.3), whose default is 0.0.0.0.
func (c *conf) listenAt(name string) (err error) {
	c.Advertise, c.HAAdvertise = c.brokerIP1, c.brokerIP2
	ip1, ip2, hint := c.brokerIP1, c.brokerIP2, "; bindAddress says where to listen when brokerIP1 and brokerIP2 are not addresses of this machine"
	if c.bindAddress != "" {
		ip1, ip2, hint = c.bindAddress, c.bindAddress, ""
	}
	if ip1 == "" {
		ip1 = "127.0.0.1"
	}
	if ip2 == "" {
		ip2 = ip1
	}
	if c.Listen, err = address(ip1, c.listenPort); err != nil {
		return fmt.Errorf("%w: %s: listen for clients: %w%s", ErrConf, name, err, hint)
	}
	if c.listenPort > fastPortBelow {
		if c.FastListen, err = address(ip1, c.listenPort-fastPortBelow); err != nil {
			return fmt.Errorf("%w: %s: listen for clients: %w%s", ErrConf, name, err, hint)
		}
	}
	if c.HAListen, err = address(ip2, c.haPort); err != nil {
		return fmt.Errorf("%w: %s: listen for slaves (brokerIP2): %w%s", ErrConf, name, err, hint)
	}
	return nil
}

// Properties returns the effective configuration as broker.conf would hold it.
func (c *Config) Properties() string {
	var b strings.Builder
	b.WriteString(c.Node.Properties())
	line := func(key string, value any) {
		if value != "" {
			fmt.Fprintf(&b, "%s=%v\n", key, value)
		}
	}
	host, port, _ := net.SplitHostPort(c.Listen)
	line("bindAddress", host)
	line("listenPort", port)
	_, haPort, _ := net.SplitHostPort(c.HAListen)
	line("haListenPort", haPort)
	line("brokerIP1", c.Advertise)
	line("brokerIP2", c.HAAdvertise)
	line("storePathRootDir", c.StoreDir)
	l := c.Limits.withDefaults()
	line("serverChannelMaxIdleTimeSeconds", int64(l.Idle/time.Second))
	line("holdfastMaxConnections", l.Connections)
	line("holdfastMaxConnectionsPerAddress", l.PerAddress)
	line("holdfastMaxSlaves", l.Slaves)
	line("holdfastMaxRequestsPerConnection", l.Requests)
	line("holdfastMaxUnreadBytes", l.UnreadBytes)
	line("holdfastMaxLargeFrameBytes", l.LargeFrames)
	line("holdfastFrameTimeout", l.FrameTime.Milliseconds())
	line("holdfastSlaveTimeout", l.SlaveTime.Milliseconds())
	line("holdfastWriteTimeout", l.WriteTime.Milliseconds())
	line("holdfastCutCorrupt", c.Store.CutCorrupt)
	if c.MetricsListen != "" {
		host, port, _ = net.SplitHostPort(c.MetricsListen)
		line("metricsExporterType", exporterPrometheus)
		line("metricsPromExporterHost", host)
		line("metricsPromExporterPort", port)
	}
	return b.String()
}

// Addresses splits a list of addresses at semicolons, commas and spaces.
func Addresses(list string) []string { return broker.Addresses(list) }

func address(ip string, port int) (string, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "", err
	}
	return netip.AddrPortFrom(a, uint16(port)).String(), nil
}

// host is a host name or address that others are told.
func host(name string, field func(*conf) *string) setting.Setting[conf] {
	s := setting.Text(name, field)
	s.Set = func(c *conf, v string) error {
		*field(c) = v
		return CheckAdvertise(v)
	}
	return s
}

// seconds is a time in whole seconds, at least one.
func seconds(name string, field func(*conf) *time.Duration) setting.Setting[conf] {
	return setting.Setting[conf]{Name: name, Set: func(c *conf, v string) error {
		var n int64
		if err := setting.Whole(name, func(*conf) *int64 { return &n }, 1, 24*60*60).Set(c, v); err != nil {
			return err
		}
		*field(c) = time.Duration(n) * time.Second
		return nil
	}}
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

// nearest returns the known key with the smallest edit distance to k, of which it looks at no more than a known key may have: a key of a
// megabyte, such as a file of another kind has, took 17 s.
func nearest(k string) string {
	const longest = 64
	k = k[:min(len(k), longest)]
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
