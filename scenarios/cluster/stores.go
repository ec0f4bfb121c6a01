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
	"holdfast/scenarios"
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
		pairs = append(pairs, scenarios.StorePairOf(master.Name, n.Name, got))
		if err := writeJSON(filepath.Join(dir, master.Name+"-"+n.Name+".json"), got); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
