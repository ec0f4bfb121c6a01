package cluster

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"holdfast/reports/result"
)

// Setting is one line of a configuration file.
type Setting struct{ Key, Value string }

// Settings are the lines of a configuration file, in order. A later line for a key wins, as in Java's Properties.
type Settings []Setting

// String returns the file: key=value lines.
func (s Settings) String() string {
	var b strings.Builder
	for _, line := range s {
		b.WriteString(line.Key + "=" + line.Value + "\n")
	}
	return b.String()
}

// Get returns the effective value of a key, "" without one.
func (s Settings) Get(key string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].Key == key {
			return s[i].Value
		}
	}
	return ""
}

// parseLines turns key=value lines, such as a contract's, into settings.
func parseLines(lines []string) Settings {
	var s Settings
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		s = append(s, Setting{key, value})
	}
	return s
}

// HA intervals in ms, shortened: a slave that waits 5 s before its first report makes every cell 5 s longer.
// Defaults: 5000 and 20000. Source: MessageStoreConfig (RocketMQ 5.3.3).
const (
	haHeartbeatMS    = 500
	haHousekeepingMS = 5000
)

// Sizes of store files in bytes: the smallest that a run of minutes does not roll over more than a few times.
const (
	commitLogFileBytes    = 64 << 20
	consumeQueueFileBytes = 600_000 // 30,000 entries of 20 bytes
)

// Shortened says which of the system's settings differ from its defaults, for the header of a table; (n) is a default.
func (s System) Shortened() string {
	note := "settings shortened: haSendHeartbeatInterval=500 (5000), haHousekeepingInterval=5000 (20000); clients' pollNameServerInterval=1000 (30000); "
	if s.Name == RocketMQ {
		return note + "waitTimeMillsInSendQueue=3000 (200); no TLS"
	}
	note += "slaves reconnect after 500 ms (5000) and synchronise topics and offsets every 1000 ms (60000)"
	if s.Profile == holdfastProfile {
		note += "; a controller, and one broker more than inSyncReplicas"
	}
	return note
}

// referenceSettings are those that only the reference has.
func referenceSettings(sys System) Settings {
	return Settings{
		{"holdfastProfile", sys.Profile},
		{"holdfastHaReconnectInterval", "500"},
		{"holdfastSlaveSyncInterval", "1000"},
	}
}

// brokerSettings returns the configuration of a broker node in its present role.
func (g *Group) brokerSettings(n *Node) Settings {
	text, number := n.Addr.Addr().String(), strconv.Itoa
	s := Settings{
		{"brokerClusterName", clusterName},
		{"brokerName", g.Name},
		{"brokerIP1", text},
		{"brokerIP2", text},
		{"listenPort", number(int(n.Addr.Port()))},
		{"haListenPort", number(int(n.haPort))},
		{"namesrvAddr", g.NameServer()},
		{"storePathRootDir", n.Store},
		{"storePathCommitLog", n.Store + "/commitlog"},
		{"mappedFileSizeCommitLog", number(commitLogFileBytes)},
		{"mappedFileSizeConsumeQueue", number(consumeQueueFileBytes)},
		{"haSendHeartbeatInterval", number(haHeartbeatMS)},
		{"haHousekeepingInterval", number(haHousekeepingMS)},
		{"slaveReadEnable", "true"}, // the checker reads every replica
		{"autoCreateTopicEnable", "false"},
		{"messageIndexEnable", "false"},
		{"diskMaxUsedSpaceRatio", "95"},
	}
	switch {
	case g.elects():
		s = append(s, g.electedSettings(n)...)
		s = append(s, parseLines(withoutKey(masterConf(n.System, g.Contract, g.opt.Brokers), "brokerRole"))...)
	case n.Role == Slave:
		s = append(s, Setting{"brokerId", number(n.brokerID)})
		s = append(s, parseLines(g.Contract.SlaveConf())...)
	default:
		s = append(s, Setting{"brokerId", number(n.brokerID)})
		s = append(s, parseLines(masterConf(n.System, g.Contract, g.brokers()))...)
	}
	if n.System.Name == Reference {
		s = append(s, referenceSettings(n.System)...)
		return append(s, g.opt.Settings...)
	}
	s = append(s, rocketmqSettings(n.System)...)
	if n.Role == Slave && !g.elects() && n.System.Profile == "rocketmq-4.9" {
		m := g.Master()
		s = append(s, Setting{"haMasterAddress", netip.AddrPortFrom(m.Addr.Addr(), m.haPort).String()})
	}
	return append(s, g.opt.Settings...)
}

// masterConf returns the lines that make the contract on a master with that many brokers in its group. A promoted or single
// master cannot wait for a replica that does not exist: it then promises what it can, as an operator would have it.
func masterConf(sys System, c result.Contract, brokers int) []string {
	if brokers < 2 && c.BrokerRole == "SYNC_MASTER" {
		c.InSyncReplicas = 1
		if sys.Profile == "rocketmq-4.9" {
			c.BrokerRole = "ASYNC_MASTER" // SYNC_MASTER alone answers SLAVE_NOT_AVAILABLE for ever
		}
	}
	lines := c.BrokerConf()
	if sys.Profile == "rocketmq-4.9" {
		lines = withoutKey(lines, "inSyncReplicas")
	} else {
		lines = append(lines, fmt.Sprintf("totalReplicas=%d", brokers))
	}
	return lines
}

func withoutKey(lines []string, key string) []string {
	var kept []string
	for _, line := range lines {
		if !strings.HasPrefix(line, key+"=") {
			kept = append(kept, line)
		}
	}
	return kept
}

// tunedSettings are what operators set for throughput, without weakening what an acknowledgement stands for. The pools of the
// flush and HA threads have no such settings; transientStorePoolEnable would acknowledge from memory, so it is not here.
func tunedSettings(sys System) Settings {
	s := Settings{
		// Default 4 threads, or as many as cores where those are more. SYNC_FLUSH and SYNC_MASTER do not hold one while they wait.
		{"sendMessageThreadPoolNums", "16"},
		{"useReentrantLockWhenPutMessage", "true"}, // under contention a spinning lock takes the processor from whom it waits for
		{"warmMapedFileEnable", "true"},            // pages are there before the first message needs them
		{"transferMsgByHeap", "false"},             // pulls go from the mapped file to the socket
		{"messageIndexEnable", "false"},
	}
	if sys.Profile == "rocketmq-5" {
		s = append(s, Setting{"maxTransferCountOnMessageInMemory", "1024"}) // default 32 messages a pull, whatever the client asks for
	}
	return s
}

// TunedText lists what a tuned system has beyond its defaults.
func (s System) TunedText() string {
	var all []string
	for _, line := range tunedSettings(s) {
		all = append(all, line.Key+"="+line.Value)
	}
	return strings.Join(append(all, tunedMachine[:5]...), " ")
}

// rocketmqSettings are those that only Apache RocketMQ has. A slave of 5.5.0 gets no
// haMasterAddress: with it, it never replicates.
func rocketmqSettings(sys System) Settings {
	s := Settings{
		{"registerNameServerPeriod", "10000"}, // the smallest that a broker takes; default 30000
		{"deleteWhen", "04"},
		// ms; default 200. A JVM that a busy machine stalls for that long would refuse what it was sent meanwhile; so it is late
		// instead, which is measured.
		{"waitTimeMillsInSendQueue", "3000"},
	}
	if sys.Profile == "rocketmq-5" {
		s = append(s,
			Setting{"timerWheelEnable", "false"},
			// The thread that flushes transaction metrics spins on a core from the start until this long (ms; default
			// 10000) has passed for the first time. Seen in 5.5.0.
			Setting{"transactionMetricFlushInterval", "1000"})
	}
	if sys.Tuned {
		s = append(s, tunedSettings(sys)...)
	}
	return s
}
