package sim

import (
	"time"

	"holdfast/broker"
)

// measureInterval is how often a node's disk is measured, as in package server.
const measureInterval = 10 * time.Second

// A simulated disk has room for so many files of the log, and for so many bytes at least.
const (
	diskFiles    = 40
	diskBytesMin = 8 << 20
)

// retentionKeys are the lines of a scenario's cluster.settings with which disks are measured. Without any, nothing expires within the
// seconds of a run, and nobody looks.
var retentionKeys = []string{"fileReservedTime", "deleteWhen", "diskMaxUsedSpaceRatio", "diskSpaceCleanForciblyRatio", "diskSpaceWarningLevelRatio"}

// measured reports whether the disks of the cluster are measured.
func (c *Cluster) measured() bool {
	for _, key := range retentionKeys {
		if _, ok := c.spec.Site.Settings[key]; ok {
			return true
		}
	}
	return false
}

// measure tells the node how full its disk is, now and every measureInterval.
func (p *process) measure(total int64) {
	if p.ended {
		return
	}
	p.when(func() {
		p.step(&broker.Event{Kind: broker.KindSpace, Space: broker.Space{Used: p.disk.used("."), Total: total}})
	})
	p.l.after(measureInterval, func() { p.measure(total) })
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
