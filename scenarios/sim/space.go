package sim

import (
	"slices"
	"time"

	"holdfast/broker"
)

// measureInterval is how often a node's disk is measured, as in package server.
const measureInterval = 10 * time.Second

// The disk of a scenario that says no size counts as one with room for so many files of the log, and for so many bytes at least.
const (
	diskFiles    = 40
	diskBytesMin = 8 << 20
)

// retentionKeys are the lines of a scenario's cluster.settings with which disks are measured. Without any, nothing expires within the
// seconds of a run, and nobody looks unless it says how large a disk is.
var retentionKeys = []string{"fileReservedTime", "deleteWhen", "diskMaxUsedSpaceRatio", "diskSpaceCleanForciblyRatio", "diskSpaceWarningLevelRatio"}

// States of disks that are full, for tests.
const (
	markSlaveBelow   = "slave below the begin of its master's log"
	markRefused      = "answer SERVICE_NOT_AVAILABLE"
	markBeyond       = "master's disk above diskSpaceWarningLevelRatio"
	markStoredBeyond = "message stored above diskSpaceWarningLevelRatio"
	markForcedEarly  = "message expired below diskSpaceCleanForciblyRatio"
	markStoredAgain  = "message stored when the disk had space again"
)

// measured reports whether the disks of the cluster are measured.
func (c *Cluster) measured() bool {
	given := func(key string) bool {
		_, ok := c.spec.Site.Settings[key]
		return ok
	}
	return c.spec.Site.DiskBytes > 0 || slices.ContainsFunc(retentionKeys, given)
}

// room is what is known of how full a disk is.
type room struct {
	total   int64 // bytes
	full    int64 // diskSpaceWarningLevelRatio, in percent
	force   int64 // diskSpaceCleanForciblyRatio, in percent
	young   bool  // no message of a run is older than fileReservedTime
	sends   bool  // its node takes sends
	crowded bool  // it was fuller than that when it was measured last
	was     bool  // ... or at any time before
	end     int64 // of the log when it was measured last
}

// measure tells the node how full its disk is, now and every measureInterval. Between two measures of which the first was above
// diskSpaceWarningLevelRatio no message is stored, and what is not old enough goes above diskSpaceCleanForciblyRatio alone.
func (p *process) measure() {
	if p.ended {
		return
	}
	p.when(func() {
		r, end := &p.disk.room, p.store.Marks().Appended
		switch stored := end > r.end; {
		case stored && r.crowded:
			p.l.trace.mark(markStoredBeyond)
		case stored && r.was:
			p.l.trace.mark(markStoredAgain)
		}
		s := broker.Space{Used: p.disk.used("."), Total: r.total}
		if r.crowded, r.end = r.sends && s.Used*100 > r.full*s.Total, end; r.crowded {
			r.was = true
			p.l.trace.mark(markBeyond)
		}
		begin := p.store.Marks().Min
		p.step(&broker.Event{Kind: broker.KindSpace, Space: s})
		if p.store.Marks().Min > begin && r.young && s.Used*100 <= r.force*s.Total {
			p.l.trace.mark(markForcedEarly)
		}
	})
	p.l.after(measureInterval, p.measure)
}

// used returns the bytes of all files below a path, as long as they were made.
func (p *platter) used(path string) (n int64) {
	if f, err := p.mem.Open(path); err == nil {
		n, _ = f.Size() // of a file in memory
		f.Close()
		return n
	}
	names, err := p.mem.List(path)
	if err != nil {
		return 0
	}
	for _, name := range names {
		if path != "." {
			name = path + "/" + name
		}
		n += p.used(name)
	}
	return n
}
