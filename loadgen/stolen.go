package loadgen

import (
	"bytes"
	"os"
	"strconv"
)

// processorTime is what the processors of this machine did since it started, in ticks over all of them.
type processorTime struct{ all, stolen uint64 }

// readProcessorTime returns zeros where the system does not say.
func readProcessorTime() processorTime {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processorTime{}
	}
	return parseProcessorTime(data)
}

// parseProcessorTime reads the first line of /proc/stat: "cpu" and the ticks of user, nice, system, idle, iowait, irq, softirq, steal;
// what follows is contained in the first two. Source: proc_stat(5).
func parseProcessorTime(stat []byte) (t processorTime) {
	const steal = 7
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) <= 1+steal || string(fields[0]) != "cpu" {
		return processorTime{}
	}
	for i, field := range fields[1 : 2+steal] {
		ticks, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return processorTime{}
		}
		t.all += ticks
		if i == steal {
			t.stolen = ticks
		}
	}
	return t
}

// stolenSince returns which share [0, 1] of the processors' time from before to t the host of this virtual machine gave to others;
// nil where that is not known.
func (t processorTime) stolenSince(before processorTime) *float64 {
	if before.all == 0 || t.all <= before.all || t.stolen < before.stolen {
		return nil
	}
	return new(float64(t.stolen-before.stolen) / float64(t.all-before.all))
}
