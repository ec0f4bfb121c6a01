package network

import (
	"sync/atomic"
	"syscall"
	"time"
)

// Stats is what a switch has done since it started.
type Stats struct {
	CPU        time.Duration `json:"cpu"`        // user and system time of the process
	Stall      time.Duration `json:"stall"`      // the longest time that it did not get to run
	Packets    int64         `json:"packets"`    // taken from hosts; a packet may be a segment of up to 64 KiB
	Bytes      int64         `json:"bytes"`      // of IP in them
	PowerDrops int64         `json:"powerDrops"` // lost because a host had no power
	QueueDrops int64         `json:"queueDrops"` // lost because the queue was full
	Foreign    int64         `json:"foreign"`    // not IPv4, or for an address that no host has
	Unplugged  int64         `json:"unplugged"`  // for a host whose device was being renewed
	Refused    int64         `json:"refused"`    // that the destination's kernel did not take
}

// meter counts what the switch does, and watches how long the process did not get to run.
type meter struct {
	packets, bytes, powerDrops, queueDrops, foreign, unplugged, refused atomic.Int64

	longest atomic.Int64
}

const stallTick = 5 * time.Millisecond

// watch runs until the process ends.
func (m *meter) watch() {
	due := time.Now().Add(stallTick)
	for {
		time.Sleep(time.Until(due))
		now := time.Now()
		m.longest.Store(max(m.longest.Load(), int64(now.Sub(due))))
		due = now.Add(stallTick)
	}
}

func (s *packetSwitch) stats() *Stats {
	m := &s.meter
	return &Stats{
		CPU: cpu(), Stall: time.Duration(m.longest.Load()), Packets: m.packets.Load(), Bytes: m.bytes.Load(),
		PowerDrops: m.powerDrops.Load(), QueueDrops: m.queueDrops.Load(), Foreign: m.foreign.Load(),
		Unplugged: m.unplugged.Load(), Refused: m.refused.Load(),
	}
}

// cpu returns the user and system time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
