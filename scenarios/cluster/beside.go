package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"holdfast/scenarios"
)

// layOut adds the further groups of a site, under the name server of the first.
func (c *cell) layOut(sys System, spec scenarios.Spec, opt Options) error {
	for _, name := range groupNames(spec.Site)[1:] {
		opt.Name, opt.Under = name, c.Group
		g, err := New(sys, spec.Contract, opt)
		if err != nil {
			return err
		}
		c.beside = append(c.beside, g)
	}
	return nil
}

// startGroups starts the group that faults strike and then, side by side, the others. On an error none is left.
func (c *cell) startGroups(ctx context.Context) error {
	if c.disks != nil {
		for _, g := range c.groups() {
			if err := c.disks.mount(g); err != nil {
				return err
			}
		}
	}
	if err := c.Group.Start(ctx); err != nil {
		return err
	}
	failed := make([]error, len(c.beside))
	var starting sync.WaitGroup
	for i, g := range c.beside {
		starting.Go(func() { failed[i] = g.Start(ctx) })
	}
	starting.Wait()
	if err := errors.Join(failed...); err != nil {
		return errors.Join(err, c.closeGroups())
	}
	return nil
}

// groups lists all groups, the one that faults strike first.
func (c *cell) groups() []*Group { return append([]*Group{c.Group}, c.beside...) }

// closeGroups ends every process, those of the first group, whose name server is that of all, last.
func (c *cell) closeGroups() error {
	var errs []error
	for _, g := range slices.Backward(c.groups()) {
		errs = append(errs, g.Close())
	}
	return errors.Join(errs...)
}

// addresses returns the node name by address, over all groups.
func (c *cell) addresses() map[string]string {
	names := map[string]string{}
	for _, g := range c.groups() {
		maps.Copy(names, g.Addresses())
	}
	return names
}

// Beside lists the other groups.
func (c *cell) Beside() []scenarios.QueueGroup {
	var all []scenarios.QueueGroup
	for _, g := range c.beside {
		up := []string{g.Master().Name}
		for _, n := range g.Brokers() {
			if n.Name != up[0] && n.Running() {
				up = append(up, n.Name)
			}
		}
		all = append(all, scenarios.QueueGroup{Name: g.Name, Nodes: up})
	}
	return all
}

// Settings returns the effective configuration of the nodes of all groups.
func (c *cell) Settings() map[string]string {
	all := map[string]string{}
	for _, g := range c.groups() {
		maps.Copy(all, g.Settings())
	}
	return all
}

// Usage measures every running node of all groups.
func (c *cell) Usage() map[string]Usage {
	all := map[string]Usage{}
	for _, g := range c.groups() {
		maps.Copy(all, g.Usage())
	}
	return all
}
