package server

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

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
	fileKey(setting.Text("brokerIP1", func(c *conf) *string { return &c.brokerIP1 })),
	fileKey(setting.Text("brokerIP2", func(c *conf) *string { return &c.brokerIP2 })),
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
	fileKey(setting.Whole("maxIndexNum", func(c *conf) *int32 { return &c.Store.MaxIndexes }, 2, 1<<26)),

	fileKey(setting.Whole("accessMessageInMemoryMaxRatio", func(c *conf) *int { return &c.MemoryRatio }, 0, 100)),
	{name: "totalReplicas", inert: "inSyncReplicas decides"},
	{name: "minInSyncReplicas", inert: "needs slaveActingMaster or a controller in RocketMQ"},
	{name: "enableAutoInSyncReplicas", inert: "needs slaveActingMaster in RocketMQ"},
	{name: "allAckInSyncStateSet", inert: "needs a controller in RocketMQ"},
	{name: "timerWheelEnable", inert: "there is no timer wheel"},
	{name: "diskMaxUsedSpaceRatio", inert: "nothing is deleted by disk use"},
	{name: "deleteWhen", inert: "nothing is deleted by the clock"},
	{name: "fileReservedTime", inert: "nothing is deleted by age"},
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
func Addresses(list string) []string { return broker.Addresses(list) }

func address(ip string, port int) (string, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "", err
	}
	return netip.AddrPortFrom(a, uint16(port)).String(), nil
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
