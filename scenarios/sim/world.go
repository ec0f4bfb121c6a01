package sim

import (
	"context"
	"fmt"
	"math/rand/v2"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
	"holdfast/scenarios"
)

// World is the simulator as a world of a matrix: one cluster for each trial, from the trial's seed.
type World struct {
	Profile string // of the reference broker
}

var _ scenarios.World = World{}

// Name returns sim.
func (World) Name() string { return "sim" }

// Possible refuses what has no meaning without real programs.
func (World) Possible(f nemesis.Fault) error {
	if f.Kind == nemesis.Upgrade {
		return fmt.Errorf("%s needs two versions of a program, and the world is sim", f.Kind)
	}
	return nil
}

// Open implements scenarios.World.
func (w World) Open(ctx context.Context, spec scenarios.Spec) (scenarios.Cluster, error) {
	c, err := open(ctx, newLoop(spec.Seed), w.Profile, Plain(spec.Seed), spec)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func newLoop(seed uint64) *loop {
	return &loop{rng: rand.New(rand.NewPCG(seed, 0x6c6f6f70)), trace: newTrace()}
}

// seedFile makes a file that has been there for long.
func seedFile(m *vfs.Mem, name string, b []byte) error {
	if err := m.MkdirAll("config"); err != nil {
		return err
	}
	if err := vfs.WriteFile(m, name, b); err != nil {
		return err
	}
	return m.SyncDir(".")
}
