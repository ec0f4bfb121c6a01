package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"holdfast/nemesis"
	"holdfast/nemesis/clock"
	"holdfast/scenarios"
)

// clocks are the wall clocks of one cluster's brokers.
type clocks struct {
	byNode map[string]*clock.Clock
	env    map[string][]string // what each broker's process needs to read its clock
}

func newClocks(spec scenarios.Spec) (*clocks, error) {
	dir, err := filepath.Abs(filepath.Join(spec.Dir, "clocks"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	c := &clocks{byNode: map[string]*clock.Clock{}, env: map[string][]string{}}
	for _, b := range placesOf(spec.Site) {
		node := b.name
		if c.byNode[node], err = clock.Create(filepath.Join(dir, node)); err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.env[node] = []string{c.byNode[node].Env()}
	}
	return c, nil
}

// begin sets the clocks of nodes and returns what sets them right again. The effect is the smallest skew that one of the
// nodes was seen to reckon with.
func (c *clocks) begin(f nemesis.Fault, nodes []*Node) (func(context.Context) (nemesis.Impact, error), error) {
	undo := func(context.Context) (nemesis.Impact, error) {
		effect := nemesis.Impact{}
		var errs []error
		for i, n := range nodes {
			page := c.byNode[n.Name]
			if skew := page.Effect()["ms"]; i == 0 || skew < effect["ms"] {
				effect["ms"] = skew
			}
			errs = append(errs, page.Reset())
		}
		return effect, errors.Join(errs...)
	}
	for _, n := range nodes {
		page, err := c.byNode[n.Name], error(nil)
		switch f.Kind {
		case nemesis.ClockJump:
			err = page.Jump(f.Params.Delay)
		case nemesis.ClockDrift:
			err = page.Drift(f.Params.PPM)
		default:
			err = fmt.Errorf("%s is no fault of a clock", f.Kind)
		}
		if err != nil {
			_, reset := undo(nil)
			return nil, errors.Join(err, reset)
		}
	}
	return undo, nil
}

func (c *clocks) close() error {
	var errs []error
	for _, page := range c.byNode {
		if page != nil {
			errs = append(errs, page.Close())
		}
	}
	return errors.Join(errs...)
}
