package broker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/setting"
)

// Setting is one key of a broker.conf that a Node understands, under the name that RocketMQ has for it. Each is said once: what
// reads a file, prints the effective configuration or changes it at run time goes through Settings. Dynamic ones are read anew
// wherever they count.
type Setting = setting.Setting[Config]

// Settings returns all settings in the order in which they are printed.
// Source: BrokerConfig, MessageStoreConfig (RocketMQ 5.3.3, 4.9.8).
func Settings() []Setting {
	return slices.Concat(groupSettings(), controllerSettings(), flushSettings(), haSettings(), clientSettings(), retentionSettings())
}

func groupSettings() []Setting {
	return []Setting{
		setting.Word("holdfastProfile", func(c *Config) *durability.Profile { return &c.Choice.Profile }, durability.RocketMQ4, durability.RocketMQ5, durability.Holdfast),
		setting.Text("brokerClusterName", func(c *Config) *string { return &c.ClusterName }),
		setting.Text("brokerName", func(c *Config) *string { return &c.BrokerName }),
		setting.Whole("brokerId", func(c *Config) *int64 { return &c.BrokerID }, 0, 1<<31),
		setting.Word("brokerRole", func(c *Config) *durability.Role { return &c.Choice.Role }, durability.AsyncMaster, durability.SyncMaster, durability.Slave),
		setting.Word("flushDiskType", func(c *Config) *durability.FlushType { return &c.Choice.FlushType }, durability.AsyncFlush, durability.SyncFlush),
		setting.Whole("inSyncReplicas", func(c *Config) *int { return &c.Choice.InSync }, 1, 32),
		setting.Bool("transientStorePoolEnable", func(c *Config) *bool { return &c.Choice.TransientPool }),
	}
}

// controllerSettings mean nothing without enableControllerMode, and are not printed then.
func controllerSettings() []Setting {
	return []Setting{
		setting.Bool("enableControllerMode", func(c *Config) *bool { return &c.Choice.Controlled }),
		setting.Text("controllerAddr", func(c *Config) *string { return &c.Controller }),
		setting.Millis("brokerHeartbeatInterval", func(c *Config) *time.Duration { return &c.BeatInterval }, 1),
		setting.Millis("haMaxTimeSlaveNotCatchup", func(c *Config) *time.Duration { return &c.MaxTimeBehind }, 1),
	}
}

func flushSettings() []Setting {
	return []Setting{
		dynamic(setting.Millis("flushIntervalCommitLog", func(c *Config) *time.Duration { return &c.Choice.FlushInterval }, 1)),
		dynamic(setting.Whole("flushCommitLogLeastPages", func(c *Config) *int { return &c.Choice.FlushPages }, 0, 1<<20)),
		dynamic(setting.Millis("flushCommitLogThoroughInterval", func(c *Config) *time.Duration { return &c.Choice.FlushThorough }, 1)),
		dynamic(setting.Millis("commitIntervalCommitLog", func(c *Config) *time.Duration { return &c.Choice.CommitInterval }, 1)),
		setting.Millis("syncFlushTimeout", func(c *Config) *time.Duration { return &c.Choice.DiskTimeout }, 1),
		setting.Millis("slaveTimeout", func(c *Config) *time.Duration { return &c.Choice.SlaveTimeout }, 1),
	}
}

func haSettings() []Setting {
	syncInterval := setting.Millis("holdfastSlaveSyncInterval", func(c *Config) *time.Duration { return &c.SyncInterval }, 1)
	set := syncInterval.Set
	syncInterval.Set = func(c *Config, v string) error {
		err := set(c, v)
		if err == nil {
			c.SyncFirst = 0
		}
		return err
	}
	return []Setting{
		setting.Whole("haSlaveFallbehindMax", func(c *Config) *int64 { return &c.Choice.MaxBehind }, 1, 1<<40),
		setting.Millis("haSendHeartbeatInterval", func(c *Config) *time.Duration { return &c.HA.HeartbeatInterval }, 1),
		setting.Millis("haHousekeepingInterval", func(c *Config) *time.Duration { return &c.HA.Housekeeping }, 1),
		setting.Whole("haTransferBatchSize", func(c *Config) *int { return &c.HA.BatchBytes }, 1, 4<<20),
		setting.Millis("holdfastHaReconnectInterval", func(c *Config) *time.Duration { return &c.HA.ReconnectInterval }, 1),
		setting.Text("haMasterAddress", func(c *Config) *string { return &c.HA.MasterAddr }),
		dynamic(syncInterval),
	}
}

func clientSettings() []Setting {
	return []Setting{
		dynamic(setting.Whole("brokerPermission", func(c *Config) *int32 { return &c.Permission }, 0, 7)),
		dynamic(setting.Bool("slaveReadEnable", func(c *Config) *bool { return &c.SlaveReadEnable })),
		dynamic(setting.Bool("autoCreateTopicEnable", func(c *Config) *bool { return &c.AutoCreateTopic })),
		dynamic(setting.Bool("autoCreateSubscriptionGroup", func(c *Config) *bool { return &c.AutoCreateGroup })),
		setting.Whole("defaultTopicQueueNums", func(c *Config) *int32 { return &c.DefaultQueues }, 1, 1024),
		dynamic(setting.Whole("maxMessageSize", func(c *Config) *int { return &c.MaxMessageBytes }, 1, 15<<20)),
		dynamic(setting.Whole("maxTransferBytesOnMessageInMemory", func(c *Config) *int { return &c.MaxPullBytes }, 1, 8<<20)),
		dynamic(setting.Whole("maxTransferCountOnMessageInMemory", func(c *Config) *int32 { return &c.MaxPullMessages }, 1, 1<<16)),
		dynamic(setting.Whole("maxTransferBytesOnMessageInDisk", func(c *Config) *int { return &c.DiskPullBytes }, 1, 8<<20)),
		dynamic(setting.Whole("maxTransferCountOnMessageInDisk", func(c *Config) *int32 { return &c.DiskPullMessages }, 1, 1<<16)),
		dynamic(setting.Whole("holdfastAccessMessageInMemoryMaxBytes", func(c *Config) *int64 { return &c.InMemoryBytes }, 0, 1<<50)),
		dynamic(setting.Bool("storeReplyMessageEnable", func(c *Config) *bool { return &c.StoreReplies })),
		dynamic(setting.Millis("registerNameServerPeriod", func(c *Config) *time.Duration { return &c.RegisterInterval }, 1)),
		dynamic(setting.Millis("flushConsumerOffsetInterval", func(c *Config) *time.Duration { return &c.OffsetsInterval }, 1)),
		dynamic(setting.Millis("channelExpiredTimeout", func(c *Config) *time.Duration { return &c.ChannelExpired }, 1)),
		dynamic(Setting{Name: "namesrvAddr",
			Get: func(c *Config) string { return strings.Join(c.NameServers, ";") },
			Set: func(c *Config, v string) error { c.NameServers = Addresses(v); return nil },
		}),
	}
}

// Addresses splits a list of addresses at semicolons, commas and spaces.
func Addresses(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
}

// retentionSettings are those of Retention; all of them may be changed while the node runs.
func retentionSettings() []Setting {
	return []Setting{
		{Name: "fileReservedTime", Dynamic: true,
			Get: func(c *Config) string { return strconv.FormatInt(int64(c.Retention.Reserved/time.Hour), 10) },
			Set: func(c *Config, v string) error {
				var hours int64
				err := setting.Whole("", func(*Config) *int64 { return &hours }, 0, 1<<20).Set(c, v)
				if err == nil {
					c.Retention.Reserved = time.Duration(hours) * time.Hour
				}
				return err
			}},
		{Name: "deleteWhen", Dynamic: true,
			Get: func(c *Config) string { return c.Retention.deleteWhen() },
			Set: func(c *Config, v string) error { return c.Retention.setDeleteWhen(v) }},
		percent("diskMaxUsedSpaceRatio", func(c *Config) *int { return &c.Retention.UsedPercent }, 10, 95),
		percent("diskSpaceCleanForciblyRatio", func(c *Config) *int { return &c.Retention.ForcePercent }, 30, 85),
		percent("diskSpaceWarningLevelRatio", func(c *Config) *int { return &c.Retention.FullPercent }, 35, 90),
	}
}

// percent is a percentage; what is outside [low, high] becomes low or high, as RocketMQ has it.
func percent(name string, field func(*Config) *int, low, high int) Setting {
	s := setting.Whole(name, field, 0, 100)
	set := s.Set
	s.Set = func(c *Config, v string) error {
		err := set(c, v)
		*field(c) = max(low, min(*field(c), high))
		return err
	}
	return dynamic(s)
}

func dynamic(s Setting) Setting { s.Dynamic = true; return s }

// Properties returns the effective configuration as broker.conf would hold it, a line a key, in the order of Settings. What has
// no value of its own, and so cannot stand there, is left out.
func (c *Config) Properties() string {
	var b strings.Builder
	without := 0
	if !c.Choice.Controlled {
		without = len(controllerSettings())
	}
	for i, s := range Settings() {
		if first := len(groupSettings()); i >= first && i < first+without {
			continue
		}
		if probe := *c; s.Set(&probe, s.Get(c)) != nil {
			continue
		}
		fmt.Fprintf(&b, "%s=%s\n", s.Name, s.Get(c))
	}
	return b.String()
}
