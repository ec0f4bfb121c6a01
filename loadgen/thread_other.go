//go:build !linux

package loadgen

import "time"

// cpuMeter measures nothing where threads have no clock of their own.
type cpuMeter struct{}

func (m *cpuMeter) begin()                   {}
func (m *cpuMeter) mark()                    {}
func (m *cpuMeter) finish()                  {}
func (m *cpuMeter) sinceMark() time.Duration { return 0 }

func sharpenTimers() {}
