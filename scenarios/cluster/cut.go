package cluster

import (
	"context"
	"slices"

	"holdfast/nemesis"
	"holdfast/nemesis/process"
	"holdfast/scenarios"
)

// cutPower takes the power of the nodes at one instant, that of their disks and of their network, and returns what it was
// measured to have done.
func (c *cell) cutPower(ctx context.Context, nodes []*Node, f nemesis.Fault) (nemesis.Impact, error) {
	procs := map[string]process.Process{}
	for _, n := range nodes {
		procs[n.Name] = n.Process()
	}
	cut, err := process.PowerCut(ctx, c.disks.disk, procs, process.CutOptions{Seed: f.Seed, Loss: f.Params.Survive.Loss(c.disks.names), Off: f.Off})
	if err != nil {
		return nil, err
	}
	effect := cut.Effect()
	if master, struck := cut.Disks[c.Master()]; struck {
		effect[scenarios.CommitLogUnsynced] = master.Predicted(c.disks.logs[c.Master()])
	}
	if c.hosts == nil || f.Off {
		return effect, nil
	}
	for _, n := range nodes { // a machine that boots knows nothing of the connections that it had
		if err := c.hosts.renew(n.Name); err != nil {
			return nil, err
		}
		c.dark = append(c.dark, n.Name)
	}
	return effect, nil
}

// reboot makes the disk and the host of a node ready for its process, after fault f.
func (c *cell) reboot(n *Node, f nemesis.Fault) error {
	if c.disks == nil {
		return nil
	}
	switch f.Kind {
	case nemesis.Power, nemesis.DiskLost, nemesis.BitFlip:
		c.dark = slices.DeleteFunc(c.dark, func(node string) bool { return node == n.Name })
		return c.disks.remount(n.Name)
	}
	return nil
}
