package broker

import (
	"fmt"
	"strings"
	"time"
)

// Properties returns the effective configuration as broker.conf would hold it, a line a key, sorted by the order here.
func (c *Config) Properties() string {
	var b strings.Builder
	k := &c.Choice
	pairs := [][2]any{
		{"holdfastProfile", k.Profile}, {"brokerClusterName", c.ClusterName}, {"brokerName", c.BrokerName}, {"brokerId", c.BrokerID},
		{"brokerRole", k.Role}, {"flushDiskType", k.FlushType}, {"inSyncReplicas", k.InSync}, {"transientStorePoolEnable", k.TransientPool},
		{"flushIntervalCommitLog", k.FlushInterval.Milliseconds()}, {"flushCommitLogLeastPages", k.FlushPages},
		{"flushCommitLogThoroughInterval", k.FlushThorough.Milliseconds()}, {"syncFlushTimeout", k.DiskTimeout.Milliseconds()},
		{"slaveTimeout", k.SlaveTimeout.Milliseconds()}, {"haSlaveFallbehindMax", k.MaxBehind},
		{"haSendHeartbeatInterval", c.HA.HeartbeatInterval.Milliseconds()}, {"haHousekeepingInterval", c.HA.Housekeeping.Milliseconds()},
		{"haTransferBatchSize", c.HA.BatchBytes}, {"slaveReadEnable", c.SlaveReadEnable}, {"autoCreateTopicEnable", c.AutoCreateTopic},
		{"autoCreateSubscriptionGroup", c.AutoCreateGroup}, {"defaultTopicQueueNums", c.DefaultQueues}, {"maxMessageSize", c.MaxMessageBytes},
		{"maxTransferBytesOnMessageInMemory", c.MaxPullBytes}, {"maxTransferCountOnMessageInMemory", c.MaxPullMessages},
		{"fileReservedTime", int64(c.Retention.Reserved / time.Hour)}, {"deleteWhen", c.Retention.deleteWhen()},
		{"diskMaxUsedSpaceRatio", c.Retention.UsedPercent}, {"diskSpaceCleanForciblyRatio", c.Retention.ForcePercent},
		{"diskSpaceWarningLevelRatio", c.Retention.FullPercent}, {"registerNameServerPeriod", c.RegisterInterval.Milliseconds()}, {"flushConsumerOffsetInterval", c.OffsetsInterval.Milliseconds()},
		{"namesrvAddr", strings.Join(c.NameServers, ";")},
	}
	if k.Controlled {
		pairs = append(pairs, [][2]any{
			{"enableControllerMode", k.Controlled}, {"controllerAddr", c.Controller},
			{"brokerHeartbeatInterval", c.BeatInterval.Milliseconds()}, {"haMaxTimeSlaveNotCatchup", c.MaxTimeBehind.Milliseconds()},
		}...)
	}
	for _, kv := range pairs {
		fmt.Fprintf(&b, "%v=%v\n", kv[0], kv[1])
	}
	return b.String()
}
