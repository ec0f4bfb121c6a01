package sim

import "holdfast/reports/result"

// CPUSeconds implements scenarios.Cluster: a simulated process has none.
func (c *Cluster) CPUSeconds() map[string]float64 { return map[string]float64{} }

// Memory implements scenarios.Cluster.
func (c *Cluster) Memory() map[string]result.Memory { return map[string]result.Memory{} }

// Harness implements scenarios.Cluster.
func (c *Cluster) Harness() map[string]result.Process { return map[string]result.Process{} }
