package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"holdfast/broker/store"
	"holdfast/broker/vfs"
	"holdfast/reports/result"
)

// CompareStores kills every node and compares the store of the one that serves the group with those of the others. What the kernel still
// held of a process's dirty pages is written down when the process ends, so that the directories behind lossy disks are true then.
func (c *cell) CompareStores(ctx context.Context, dir string) ([]result.StorePair, error) {
	for _, n := range c.Brokers() {
		if err := n.Kill(ctx); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	master := c.Group.Master()
	at := func(n *Node) (string, error) {
		if c.disks == nil {
			return n.Store, nil
		}
		if err := c.disks.disk.Detach(n.Name); err != nil {
			return "", fmt.Errorf("take the disk of %s off: %w", n.Name, err)
		}
		return c.disks.backing(n.Name), nil
	}
	first, err := at(master)
	if err != nil {
		return nil, err
	}
	var pairs []result.StorePair
	for _, n := range c.Brokers() {
		if n == master {
			continue
		}
		second, err := at(n)
		if err != nil {
			return nil, err
		}
		got, err := store.Compare(vfs.OS(first), vfs.OS(second))
		if err != nil {
			return nil, fmt.Errorf("compare the stores of %s and %s: %w", master.Name, n.Name, err)
		}
		pairs = append(pairs, storePair(master.Name, n.Name, got))
		if err := writeJSON(filepath.Join(dir, master.Name+"-"+n.Name+".json"), got); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

// storePair sums a comparison up.
func storePair(first, second string, c *store.Comparison) result.StorePair {
	p := result.StorePair{
		Nodes: [2]string{first, second}, Ends: c.Ends, Compared: c.Compared, Differing: c.Differing, Runs: c.Runs,
		Valid: [2]int64{c.Summaries[0].CommitLog.End, c.Summaries[1].CommitLog.End},
	}
	if c.First != nil {
		p.First = c.First.At
	}
	for _, q := range c.Queues {
		p.Missing += max(0, q.Max[0]-q.Max[1])
	}
	p.Frozen = p.Missing > 0 && p.Ends[1] >= p.Ends[0]
	return p
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
