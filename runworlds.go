package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/reports"
	"holdfast/reports/result"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/cluster/sandbox"
)

// worldSim is the world of simulated machines.
const worldSim = "sim"

// worldNames are the worlds that flags take.
var worldNames = []string{worldAuto, "sandbox", "loopback", worldSim}

// worlds are those asked for.
func (f *runFlags) worlds() []string { return strings.Split(f.world, ",") }

func (f *runFlags) validateWorlds() error {
	worlds := f.worlds()
	for i, w := range worlds {
		if !slices.Contains(worldNames, w) || slices.Contains(worlds[:i], w) {
			return fmt.Errorf("--world %q is unknown; allowed: %s, or two of them with a comma between", f.world, strings.Join(worldNames, ", "))
		}
	}
	if len(worlds) > 2 {
		return fmt.Errorf("--world %q: at most two worlds are held against each other", f.world)
	}
	if slices.Contains(worlds, worldSim) && !strings.HasPrefix(f.system, cluster.Reference) {
		return fmt.Errorf("--world sim has the reference broker alone, not %s", f.system)
	}
	return nil
}

// runWorlds runs the scenario in two worlds, one after the other, and says whether they agree.
func (f *runFlags) runWorlds(cmd *cobra.Command, p *runPlan, worlds []string) error {
	dir := f.outDir(p)
	var plans []*matrixPlan
	notes := make([]string, len(worlds))
	for i, world := range worlds {
		m := f.matrix(p, world, filepath.Join(dir, world))
		if err := m.prepare(cmd); err != nil {
			return err
		}
		note, err := m.chooseWorld()
		if err != nil {
			return err
		}
		if m.sandboxed() && !sandbox.Inside() {
			return enterSandbox()
		}
		plans, notes[i] = append(plans, m), note
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	var found []*result.Result
	var worst error
	for i, m := range plans {
		r, err := m.claim()
		if err != nil {
			return err
		}
		if notes[i] != "" {
			r.Notes = append(r.Notes, notes[i])
		}
		err = m.measure(ctx, cmd, r)
		if ctx.Err() != nil || err != nil && exitCode(err, true) == exitBroken {
			return err
		}
		if worst == nil || err != nil && exitCode(err, true) == exitViolated {
			worst = err
		}
		found = append(found, r)
	}
	agreed := result.CompareWorlds(found[0], found[1])
	if f.output == "human" {
		fmt.Fprint(cmd.OutOrStdout(), reports.Worlds(agreed))
	}
	for _, verdict := range []struct {
		agree string
		code  int
	}{{result.AgreeNo, exitViolated}, {result.AgreeUndecided, exitInconclusive}} {
		i := slices.IndexFunc(agreed, func(a result.WorldPair) bool { return a.Agree == verdict.agree })
		if i >= 0 && worst == nil {
			return exit(verdict.code, errors.New("the worlds do not agree: "+agreed[i].Why))
		}
	}
	return worst
}

// enterSandbox repeats the command in namespaces of its own and takes over its exit code.
func enterSandbox() error {
	code, err := sandbox.Enter()
	switch {
	case err != nil:
		return exit(exitBroken, err)
	case code != 0:
		return exit(code, nil)
	}
	return nil
}
