package broker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Retention says for how long messages are kept, and what happens when the disk fills up. Percentages are of the disk.
// Source: MessageStoreConfig, DefaultMessageStore.CleanCommitLogService (RocketMQ 5.5.0).
type Retention struct {
	Reserved     time.Duration // fileReservedTime: files whose messages are all older may be removed
	Hours        uint32        // deleteWhen: a bit for each hour of the day in which they are
	Zone         time.Duration // of those hours: local time less UTC
	UsedPercent  int           // diskMaxUsedSpaceRatio: beyond, they are at any hour
	ForcePercent int           // diskSpaceCleanForciblyRatio: beyond, the oldest files are removed whatever their age
	FullPercent  int           // diskSpaceWarningLevelRatio: beyond, sends are refused, too
}

// DefaultRetention returns RocketMQ's defaults.
func DefaultRetention() Retention {
	return Retention{Reserved: 72 * time.Hour, Hours: 1 << 4, UsedPercent: 75, ForcePercent: 85, FullPercent: 90}
}

// deleteWhen returns the hours as deleteWhen has them.
func (r *Retention) deleteWhen() string {
	var hours []string
	for hour := range 24 {
		if r.Hours>>hour&1 != 0 {
			hours = append(hours, fmt.Sprintf("%02d", hour))
		}
	}
	return strings.Join(hours, ";")
}

// setDeleteWhen reads hours of the day with semicolons between, such as "04" or "04;16".
func (r *Retention) setDeleteWhen(v string) error {
	set := uint32(0)
	for one := range strings.SplitSeq(v, ";") {
		hour, err := strconv.Atoi(strings.TrimSpace(one))
		if err != nil || hour < 0 || hour > 23 {
			return errors.New("allowed: hours 00 to 23, with semicolons between")
		}
		set |= 1 << hour
	}
	r.Hours = set
	return nil
}

// deleteFileBatchMax bounds how many files of the log are removed at once. Source: MessageStoreConfig (RocketMQ 5.5.0).
const deleteFileBatchMax = 10

// percent returns how full the disk is, rounded up; 0 when nobody knows.
func (s Space) percent() int64 {
	if s.Total <= 0 {
		return 0
	}
	return (s.Used*100 + s.Total - 1) / s.Total
}

// refusal is the remark of a refused send. Source: AbstractSendMessageProcessor.diskUtil (RocketMQ 5.5.0).
func (s Space) refusal() string {
	used := fmt.Sprintf("%2d.%02d", s.percent()/100, s.percent()%100)
	return "service not available now. It may be caused by one of the following reasons: the broker's disk is full [CL: " + used + " CQ: " + used +
		" INDEX: " + used + "], messages are put to the slave, message store has been shut down, etc."
}

// measured takes the measure of the disk: sends are refused on a disk that is too full, and taken again when it is not; and messages
// that need not be kept any more go, a few files at a time.
func (n *Node) measured(s Space, out *Output) {
	r, used := &n.cfg.Retention, s.percent()
	n.space = s
	if crowded := used > int64(r.FullPercent); crowded != n.crowded {
		n.crowded = crowded
		if crowded {
			note(out, true, "the disk is %d%% full, above diskSpaceWarningLevelRatio=%d: sends are refused with SERVICE_NOT_AVAILABLE", used, r.FullPercent)
		} else {
			note(out, false, "the disk has space again: it is %d%% full", used)
		}
	}
	force := used > int64(r.ForcePercent)
	hour := time.UnixMilli(n.now.Wall).UTC().Add(r.Zone).Hour()
	if !force && used <= int64(r.UsedPercent) && r.Hours>>hour&1 == 0 {
		return
	}
	min := n.store.Marks().Min
	if to := n.store.Expirable(n.now.Wall-r.Reserved.Milliseconds(), deleteFileBatchMax, force); to > min {
		note(out, false, "the commit log below %d expires: it began at %d, the disk is %d%% full", to, min, used)
		n.store.Expire(to)
	}
}
