package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
)

// outDir is where the results go.
func (f *runFlags) outDir(p *runPlan) string {
	if f.out != "" {
		return f.out
	}
	return filepath.Join("out", "run-"+p.scenario.Name+"-"+time.Now().Format("20060102-150405"))
}

// matrix turns one scenario into a matrix of one column, which is run in a world and reported as such.
func (f *runFlags) matrix(p *runPlan, world, out string) *matrixPlan {
	apache := p.system.Name == cluster.RocketMQ
	m := &matrixPlan{
		out: out, scenario: p.scenario.Name,
		flags: matrixFlags{world: world, systems: []string{f.system}, output: f.output, size: bodySize},
	}
	column := scenarios.Column{Scenario: p.scenario, Seed: p.seed, Expect: true}
	if f.schedule != "" {
		column.Replay = p.faults
	}
	m.subjects = []*subject{{system: p.system, matrix: &scenarios.Matrix{
		System:    p.system.Describe(),
		Contracts: p.rows, Columns: []scenarios.Column{column}, Cuts: p.cuts * f.repeat, Seed: p.seed, Out: m.out,
		Fault: faultLoad(&m.flags, apache), Parallel: 1, Alone: p.cuts * f.repeat, Command: f.command(p), Single: true,
	}}}
	return m
}

// command is what repeats the run, but for the contracts.
func (f *runFlags) command(p *runPlan) string {
	name := p.scenario.Name
	if f.file != "" {
		name = f.file
	}
	words := []string{"bin/holdfast run", name, "--system " + p.system.String(), fmt.Sprintf("--seed %d", p.seed)}
	if f.cutsGiven {
		words = append(words, fmt.Sprintf("--cuts %d", p.cuts))
	}
	for _, w := range []struct {
		flag, value, plain string
	}{{"--repeat", fmt.Sprint(f.repeat), "1"}, {"--world", f.world, worldAuto}, {"--schedule", f.schedule, ""}, {"--rocketmq-home", f.home, ""}} {
		if w.value != w.plain {
			words = append(words, w.flag+" "+w.value)
		}
	}
	return strings.Join(words, " ")
}

// scenarioEnded gives the exit code of a finished run. Source: contracts.md section 2.
func scenarioEnded(r *result.Result) error {
	inconclusive := ""
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Verdict == result.Violated {
			return exit(exitViolated, errSilent)
		}
		if unmet := c.Unmet(); len(unmet) > 0 && c.Verdict != result.Inconclusive {
			e := unmet[0]
			return exit(exitViolated, fmt.Errorf("%s: expected %s: %s, got %s", c.ID, e.What, e.Want, e.Got))
		}
		if c.Verdict == result.Inconclusive && inconclusive == "" {
			inconclusive = c.ID + ": inconclusive"
			if len(c.Reasons) > 0 {
				inconclusive += ": " + c.Reasons[0]
			}
		}
	}
	if inconclusive != "" {
		return exit(exitInconclusive, errors.New(inconclusive))
	}
	return nil
}
