package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/reports"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
)

// matrixFlags are the flags of matrix as given.
type matrixFlags struct {
	quick, dryRun, noPerformance bool
	tuned, expectations          bool
	tunedGiven                   bool
	out, world, home             string
	systems, contracts, faults   []string
	cuts, rate, faultRate, size  int
	parallel, alone              int
	rtt                          time.Duration
	seed                         uint64
	failOn, output               string
}

func newMatrixCommand() *cobra.Command {
	var f matrixFlags
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Measure throughput, latency and loss of every brokerRole x flushDiskType, under every fault.",
		Long: `Measure throughput, latency and loss of every brokerRole x flushDiskType, under every fault.

Performance cells run first, alone, on the real disk. Fault cells run real processes on a lossy disk inside
namespaces of their own (no root needed), several side by side. Results go to --out: results.json, index.html,
junit.xml and the history of every cut, which 'holdfast check' judges again from the file alone.`,
		Example: `  holdfast matrix --quick
  holdfast matrix --quick --contracts SYNC_MASTER+ASYNC_FLUSH --faults power-returns,power-promoted --cuts 10
  holdfast matrix --quick --system reference --system rocketmq:5.5.0
  holdfast matrix --system rocketmq:5.5.0 --contracts ASYNC_MASTER+ASYNC_FLUSH --faults power-returns --no-performance`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.tunedGiven = cmd.Flags().Changed("tuned")
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.quick, "quick", false, "four fault columns, 3 cuts a cell, short passes: about 3 minutes on 2 cores (without: every column, 60 cuts, hours)")
	flags.StringVar(&f.out, "out", "", "directory of the results; one that was interrupted is resumed (default out/matrix-TIME)")
	flags.StringArrayVar(&f.systems, "system", []string{"reference"}, "system under test: reference[:PROFILE] or rocketmq:VERSION; given several times, all are measured in one run")
	flags.BoolVar(&f.tuned, "tuned", false, "measure the speed of Apache RocketMQ with settings for throughput, too (default true with several systems)")
	flags.StringVar(&f.home, "rocketmq-home", "", "directory of an unpacked Apache RocketMQ release, instead of jars by Maven")
	flags.StringSliceVar(&f.contracts, "contracts", nil, "rows to measure, such as SYNC_MASTER/2+ASYNC_FLUSH (default all six)")
	flags.StringSliceVar(&f.faults, "faults", nil, "columns to measure, see --dry-run, any scenario that 'run --list' names, or none (default the twelve of the matrix, with --quick four)")
	flags.BoolVar(&f.expectations, "expectations", false, "hold the cells against what their scenarios expect; exit 1 when one fails")
	flags.BoolVar(&f.noPerformance, "no-performance", false, "leave the performance cells out")
	flags.IntVar(&f.cuts, "cuts", 0, "trials of each fault cell (default 3 with --quick, 1 of rocketmq, else 60)")
	flags.IntVar(&f.rate, "rate", 0, "msg/s at which latency is measured (default half of the slowest row's saturation; 2000 with --quick and rocketmq)")
	flags.IntVar(&f.faultRate, "fault-rate", 0, "msg/s under which faults strike (default 2000, or 500 for rocketmq)")
	flags.IntVar(&f.size, "size", bodySize, "mean body size in bytes; sizes vary by a quarter around it")
	flags.IntVar(&f.parallel, "parallel", 0, "fault cells side by side (default 4, or 3 for rocketmq)")
	flags.IntVar(&f.alone, "alone", -1, "trials of each fault cell that run alone on the machine and measure the time to recover (default 3, with --quick 1 of kill-returns)")
	flags.DurationVar(&f.rtt, "rtt", 0, "base round trip between the hosts of the sandbox, such as 200us (default as fast as it goes)")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of sizes, arrival times and the phases of cuts")
	flags.StringVar(&f.world, "world", worldAuto, "where fault cells run: auto, sandbox or loopback (kill only)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the cells and the time they will take, and stop")
	flags.StringVar(&f.failOn, "fail-on", "", "exit 1 when a cell is 'violated', or has any 'loss'")
	addOutput(flags, &f.output, "human or json (results.json on standard output)")
	return cmd
}

// subject is one system of a matrix.
type subject struct {
	matrix *scenarios.Matrix
	system cluster.System
	others map[string]cluster.System // prepared for rolling upgrades, by version
}

// matrixPlan is what the flags come to.
type matrixPlan struct {
	subjects []*subject // one or more; what is not of a system is alike in all of them
	flags    matrixFlags
	out      string
	// scenario is the name of the only column of 'holdfast run'; empty for a matrix.
	scenario string
}

// first is the matrix of the first system.
func (p *matrixPlan) first() *scenarios.Matrix { return p.subjects[0].matrix }

// all is the matrices of all systems.
func (p *matrixPlan) all() scenarios.Comparison {
	var all scenarios.Comparison
	for _, s := range p.subjects {
		all = append(all, s.matrix)
	}
	return all
}

// plan checks the flags and fills in the defaults. Its errors are wrong usage.
func (f *matrixFlags) plan() (*matrixPlan, error) {
	systems, err := f.underTest()
	if err != nil {
		return nil, err
	}
	if err := f.validate(); err != nil {
		return nil, exit(exitUsage, err)
	}
	rows, err := scenarios.SelectContracts(f.contracts)
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	columns, err := f.columns()
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	p := &matrixPlan{flags: *f, out: f.out}
	if p.out == "" {
		p.out = filepath.Join("out", "matrix-"+time.Now().Format("20060102-150405"))
	}
	for _, sys := range systems {
		m := f.matrix(sys, rows, columns)
		m.Out, m.Several = p.out, len(systems) > 1
		if given := slices.Contains(f.systems, sys.String()); sys.Tuned && !given {
			m.Columns = nil // added for its speed
		}
		if len(m.Plan()) > 0 {
			p.subjects = append(p.subjects, &subject{matrix: m, system: sys})
		}
	}
	if len(p.subjects) == 0 {
		return nil, exit(exitUsage, errors.New("nothing is left to measure: no system has the contracts and columns asked for"))
	}
	return p, nil
}

// underTest are the systems asked for, each version of Apache RocketMQ followed by itself with settings for throughput where
// that is wanted.
func (f *matrixFlags) underTest() ([]cluster.System, error) {
	var all []cluster.System
	seen := map[string]bool{}
	versions := 0
	add := func(s cluster.System) bool {
		known := seen[s.String()]
		seen[s.String()] = true
		if !known {
			all = append(all, s)
		}
		return !known
	}
	tuned := f.tuned || len(f.systems) > 1 && !f.tunedGiven
	for _, name := range f.systems {
		sys, err := cluster.ParseSystem(name)
		if err != nil {
			return nil, err
		}
		if !add(sys) {
			return nil, exit(exitUsage, fmt.Errorf("--system %s stands twice", sys))
		}
		if sys.Name != cluster.RocketMQ {
			continue
		}
		versions++
		if tuned && !f.noPerformance && !sys.Tuned && !slices.Contains(f.systems, sys.String()+":tuned") {
			sys.Tuned = true
			add(sys)
		}
	}
	if f.home != "" && versions != 1 {
		return nil, exit(exitUsage, fmt.Errorf("--rocketmq-home needs one --system rocketmq:VERSION, not %s", strings.Join(f.systems, ", ")))
	}
	for i := range all {
		if all[i].Name == cluster.RocketMQ {
			all[i].Home = f.home
		}
	}
	return all, nil
}

// matrix is that of one system.
func (f *matrixFlags) matrix(sys cluster.System, rows []result.Contract, columns []scenarios.Column) *scenarios.Matrix {
	apache := sys.Name == cluster.RocketMQ
	m := &scenarios.Matrix{
		System: sys.Describe(), Seed: f.seed, Command: f.command(sys), Contracts: supported(sys, rows), Columns: columns,
		Cuts: orElse(f.cuts, defaultCuts(f.quick, apache)), Parallel: orElse(f.parallel, map[bool]int{true: 3, false: 4}[apache]), Fault: faultLoad(f, apache), Alone: f.alone,
	}
	if f.alone < 0 {
		m.Alone = 3
		if f.quick {
			m.Alone, m.AloneIn = 1, quickAlone
		}
	}
	if !f.noPerformance {
		m.Perf = performance(f, apache)
	}
	return m
}

// columns are those asked for, each with the base round trip of the run where it has none of its own.
func (f *matrixFlags) columns() ([]scenarios.Column, error) {
	if len(f.faults) == 1 && f.faults[0] == result.NoFault {
		return nil, nil
	}
	all, err := scenarios.SelectColumns(f.faults, f.quick)
	for i := range all {
		all[i].Expect = f.expectations
		if all[i].Scenario.Cluster.RTT == 0 {
			all[i].Scenario.Cluster.RTT = f.rtt
		}
		if all[i].Scenario.Load.Size == bodySize { // not where small bodies are the point
			all[i].Scenario.Load.Size = int64(f.size)
		}
	}
	return all, err
}

func (f *matrixFlags) validate() error {
	for _, n := range []struct {
		flag     string
		got      int
		from, to int
	}{
		{"--cuts", f.cuts, 0, 10_000}, {"--rate", f.rate, 0, rateMax}, {"--fault-rate", f.faultRate, 0, 1_000_000},
		{"--size", f.size, sizeLeast, sizeMost}, {"--parallel", f.parallel, 0, 64},
		{"--alone", f.alone, -1, 10_000},
	} {
		if n.got < n.from || n.got > n.to {
			return fmt.Errorf("%s %d is out of range; allowed: %d to %d", n.flag, n.got, n.from, n.to)
		}
	}
	if f.rtt < 0 || f.rtt > time.Second {
		return fmt.Errorf("--rtt %v is out of range; allowed: 0s to 1s", f.rtt)
	}
	for _, w := range []struct{ flag, got, allowed string }{
		{"--world", f.world, strings.Join(worldNames, " ")}, {"--fail-on", f.failOn, "violated loss"},
	} {
		if w.got != "" && !slices.Contains(strings.Fields(w.allowed), w.got) {
			return fmt.Errorf("%s %q is unknown; allowed: %s", w.flag, w.got, strings.ReplaceAll(w.allowed, " ", ", "))
		}
	}
	if f.noPerformance && len(f.faults) == 1 && f.faults[0] == result.NoFault {
		return errors.New("--no-performance with --faults none leaves nothing to measure")
	}
	return nil
}

// supported leaves out the rows that the system does not have.
func supported(sys cluster.System, rows []result.Contract) []result.Contract {
	var kept []result.Contract
	for _, c := range rows {
		if sys.Supports(c) == nil {
			kept = append(kept, c)
		}
	}
	return kept
}

// command is the beginning of the command that repeats a cell of these systems.
func (f *matrixFlags) command(systems ...cluster.System) string {
	words := []string{"bin/holdfast matrix"}
	if f.quick {
		words = append(words, "--quick")
	}
	for _, sys := range systems {
		words = append(words, "--system "+sys.String())
	}
	words = append(words, fmt.Sprintf("--seed %d", f.seed))
	for _, n := range []struct {
		flag  string
		value int
	}{{"--cuts", f.cuts}, {"--rate", f.rate}, {"--fault-rate", f.faultRate}} {
		if n.value != 0 {
			words = append(words, fmt.Sprintf("%s %d", n.flag, n.value))
		}
	}
	if f.rtt != 0 {
		words = append(words, "--rtt "+f.rtt.String())
	}
	if f.size != bodySize {
		words = append(words, fmt.Sprintf("--size %d", f.size))
	}
	if f.world != worldAuto {
		words = append(words, "--world "+f.world)
	}
	if f.home != "" {
		words = append(words, "--rocketmq-home "+f.home)
	}
	if f.expectations {
		words = append(words, "--expectations")
	}
	return strings.Join(words, " ")
}

// wholeCommand repeats the whole run.
func (p *matrixPlan) wholeCommand() string {
	if len(p.subjects) == 1 {
		return p.first().Command
	}
	var given []cluster.System
	for _, s := range p.subjects {
		if slices.Contains(p.flags.systems, s.system.String()) || !s.system.Tuned {
			given = append(given, s.system)
		}
	}
	return p.flags.command(given...)
}

// quickRate is the rate in msg/s at which a quick matrix measures the latency of Apache RocketMQ, and of what is compared with it: below
// half of what any of its contracts does on two slow cores. Half of the slowest row's saturation, as elsewhere, would take a second
// start and a second warming of every JVM.
const quickRate = 2000

// defaultCuts is how many trials a cell has. One of Apache RocketMQ takes half a minute of a core, so a quick matrix has one.
func defaultCuts(quick, apache bool) int {
	switch {
	case !quick:
		return 60
	case apache:
		return 1
	}
	return 3
}

// quickAlone are the columns of which a quick matrix asks the time to recover: a client of a host without power waits for its own
// timeouts, which takes longer than there is time.
var quickAlone = []string{"kill-returns"}

// Defaults of --size, in bytes, and of --world.
const (
	bodySize  = 1024
	worldAuto = "auto"
)

func orElse(given, otherwise int) int {
	if given != 0 {
		return given
	}
	return otherwise
}

// faultLoad is the load under which faults strike: far below saturation, so that what is lost was not late.
func faultLoad(f *matrixFlags, apache bool) scenarios.FaultLoad {
	load := scenarios.FaultLoad{
		Rate: orElse(f.faultRate, 2000), Size: f.size, Hold: 1500 * time.Millisecond, After: 800 * time.Millisecond, MinAcks: 500,
		Window: scenarios.WindowUnderLoad, Drain: 20 * time.Second, Timeout: 8 * time.Second, Restart: 2 * time.Second, Clients: 2, InFlight: 4096,
	}
	if apache {
		load.Rate = orElse(f.faultRate, 500)
		load.Hold, load.After, load.Drain, load.Restart = 3*time.Second, 1500*time.Millisecond, 60*time.Second, 14*time.Second
	}
	return load
}

func performance(f *matrixFlags, apache bool) *scenarios.Performance {
	p := &scenarios.Performance{
		Passes: 3, Clients: 16, InFlight: 64, Size: f.size, Rate: f.rate,
		Warm: 300 * time.Millisecond, Measure: time.Second, LatencyOf: time.Second,
	}
	if !f.quick {
		p.Warm, p.Measure, p.LatencyOf = 2*time.Second, 10*time.Second, 10*time.Second
	}
	if p.Rate == 0 && f.quick && slices.ContainsFunc(f.systems, func(name string) bool { return strings.HasPrefix(name, cluster.RocketMQ) }) {
		p.Rate = quickRate
	}
	if f.quick && len(f.systems) > 1 { // at the rate of the slowest, seconds are too short for a p99 that a single stall does not make
		p.LatencyOf = 4 * time.Second
	}
	if apache {
		p.Compiles, p.Warm, p.Measure, p.LatencyOf = true, 15*time.Second, 10*time.Second, 10*time.Second
		if f.quick { // a start and a warm JVM take longer than what is measured: one pass of three seconds says more than three of one
			p.Passes, p.Warm, p.Measure, p.LatencyOf = 1, 16*time.Second, 3*time.Second, 6*time.Second
		}
	}
	return p
}

// livePlan turns the matrix's plan into the report's.
func (p *matrixPlan) livePlan(r *result.Result) reports.Plan {
	plan := reports.Plan{Header: *r, Dir: p.out, Expect: p.all().Expect(func(id string) bool { return r.Cell(id) != nil })}
	for _, c := range p.all().Plan() {
		cell := reports.PlannedCell{ID: c.ID, System: c.System(), Contract: c.Contract, Fault: result.NoFault, Cuts: c.Cuts, Expect: c.Expect}
		if c.Column != nil {
			f := c.Column.First()
			cell.Column, cell.Fault, cell.Target, cell.Recovery = c.Column.Name(), string(f.Kind), string(f.Target), string(f.Recovery)
		}
		plan.Cells = append(plan.Cells, cell)
	}
	return plan
}

// save writes results.json, the page and the JUnit file.
func (p *matrixPlan) save(r *result.Result) error {
	return r.Write(filepath.Join(p.out, result.FileName))
}

// ended gives the exit code of a finished matrix. Source: contracts.md section 2.
func (p *matrixPlan) ended(ctx context.Context, r *result.Result, err error) error {
	switch {
	case ctx.Err() != nil:
		return exit(exitInterrupted, errors.New("interrupted: what is known is in "+p.out+"; the same --out resumes it"))
	case err != nil:
		return exit(exitBroken, err)
	}
	if broken := brokenTrials(r); broken != "" {
		return exit(exitBroken, errors.New(broken))
	}
	if p.scenario != "" {
		return scenarioEnded(r)
	}
	if p.flags.expectations {
		if err := expectationsEnded(r); err != nil {
			return err
		}
	}
	for _, c := range r.Cells {
		if p.flags.failOn == "violated" && c.Verdict == result.Violated {
			return exit(exitViolated, fmt.Errorf("--fail-on violated: %s", c.ID))
		}
		if p.flags.failOn == "loss" && (c.Verdict == result.Violated || result.Sum(c.Lost) > 0) {
			return exit(exitViolated, fmt.Errorf("--fail-on loss: %s lost %d", c.ID, result.Sum(c.Lost)))
		}
	}
	return nil
}

// expectationsEnded gives the exit code of a matrix that was held against its scenarios: a violation that was expected is none. What was not
// met in a cell that proves nothing is not known to be wrong.
func expectationsEnded(r *result.Result) error {
	open := ""
	for i := range r.Cells {
		c := &r.Cells[i]
		unmet := c.Unmet()
		if len(unmet) == 0 {
			continue
		}
		text := fmt.Sprintf("%s: expected %s: %s, got %s", c.ID, unmet[0].What, unmet[0].Want, unmet[0].Got)
		if c.Verdict != result.Inconclusive {
			return exit(exitViolated, errors.New(text))
		}
		if open == "" {
			open = text
		}
	}
	if open != "" {
		return exit(exitInconclusive, errors.New(open))
	}
	return nil
}

// brokenTrials says how many trials could not run, and why the first could not; empty when all ran.
func brokenTrials(r *result.Result) string {
	n, first := 0, ""
	for _, c := range r.Cells {
		for i, t := range c.Trials {
			if !t.Broken {
				continue
			}
			if n++; n == 1 {
				first = fmt.Sprintf("%s, cut %d: %s", c.ID, i+1, t.Reasons[0])
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d trials could not run; %s", n, first)
}
