package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/checker"
	"holdfast/reports"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/scenario"
	"holdfast/scenarios/sim"
)

// simFlags are the flags of sim as given.
type simFlags struct {
	system, seeds, shard, out, output string
	contracts                         []string
	seed                              uint64
	seedGiven, trace, shrink, goOn    bool
	workers, shrinkRuns               int
	file                              string
}

func newSimCommand() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim SCENARIO",
		Short: "Search a scenario in the simulator: thousands of seeds, each a run that can be replayed and shrunk.",
		Long: `Search a scenario in the simulator: the reference broker, the clients and the checkers as they are, in virtual time, on simulated
networks, disks and clocks. A seed decides everything: the same seed is the same run, on any machine. Speeds, sizes and loads that the
scenario leaves open are drawn from it, too.

It stops at the first violation, prints how to replay it and, with --shrink, the smallest scenario that fails in the same way. The exit
code is 1 when the contract is violated, 2 when no seed proves anything or a mark that the scenario names was never reached, 64 when a
file or a flag is wrong.`,
		Example: `  holdfast sim power-returns --contracts ASYNC_MASTER+SYNC_FLUSH --seeds 1..1000
  holdfast sim storm-pair --contracts SYNC_MASTER/2+ASYNC_FLUSH --seeds 1..200 --shrink
  holdfast sim storm --seed 7 --trace
  holdfast sim storm --seeds 1..100000 --shard 3/16 --out out/shard-3`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.seedGiven, f.file = cmd.Flags().Changed("seed"), args[0]
			return f.run(cmd)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return completions(), cobra.ShellCompDirectiveDefault
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.system, "system", "reference", "profile of the reference broker: reference[:rocketmq-4.9|rocketmq-5|holdfast]")
	flags.StringSliceVar(&f.contracts, "contracts", nil, "contracts to search, such as SYNC_MASTER/2+ASYNC_FLUSH (default the scenario's)")
	flags.Uint64Var(&f.seed, "seed", 1, "one seed")
	flags.StringVar(&f.seeds, "seeds", "", "range of seeds, A..B, both included (default 1..100)")
	flags.StringVar(&f.shard, "shard", "", "I/N: of the seeds every N-th, from the I-th on")
	flags.IntVar(&f.workers, "workers", 0, "runs at a time (default one for each core)")
	flags.BoolVar(&f.goOn, "keep-going", false, "do not stop at the first violation")
	flags.BoolVar(&f.shrink, "shrink", false, "make the first violation as small as it gets, and print it as a scenario file")
	flags.IntVar(&f.shrinkRuns, "shrink-runs", 3000, "runs that shrinking may take")
	flags.BoolVar(&f.trace, "trace", false, "print a line for each change of state (with --seed)")
	flags.StringVar(&f.out, "out", "", "directory for sim.json and, after a violation, its diagram and shrunk.yaml")
	addOutput(flags, &f.output, "human or json (an object a seed)")
	return cmd
}

// simPlan is what the flags and the scenario come to.
type simPlan struct {
	*simFlags
	scenario scenario.Scenario
	profile  string
	rows     []result.Contract
	span     sim.Range
}

func (f *simFlags) run(cmd *cobra.Command) error {
	p, err := f.plan()
	if err != nil {
		return err
	}
	debug.SetGCPercent(400) // runs make little that lasts
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	if f.trace {
		return p.printTrace(ctx, cmd.OutOrStdout())
	}
	return p.search(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// plan reads flags and scenario. Its errors are wrong usage.
func (f *simFlags) plan() (*simPlan, error) {
	usage := func(format string, args ...any) (*simPlan, error) {
		return nil, exit(exitUsage, fmt.Errorf(format, args...))
	}
	if f.workers < 0 || f.workers > 1024 {
		return usage("--workers %d is out of range; allowed: 0 (one for each core) to 1024", f.workers)
	}
	if f.shrinkRuns < 1 || f.shrinkRuns > 1_000_000 {
		return usage("--shrink-runs %d is out of range; allowed: 1 to 1000000", f.shrinkRuns)
	}
	s, err := scenario.Load(f.file)
	if err != nil {
		return nil, err
	}
	sys, err := cluster.ParseSystem(f.system)
	if err != nil {
		return nil, err
	}
	if sys.Name != cluster.Reference {
		return usage("--system %s: the simulator has the reference broker alone; use run or matrix for others", f.system)
	}
	if !s.For(sys.String()) {
		return usage("scenario %s is not for %s; it is for %s", s.Name, sys, strings.Join(s.Systems, ", "))
	}
	p := &simPlan{simFlags: f, scenario: s, profile: sys.Profile}
	if err := sim.Supports(s, sys.Profile); err != nil {
		return nil, exit(exitUsage, err)
	}
	if len(f.contracts) > 0 {
		if s.Contracts, err = scenarios.SelectContracts(f.contracts); err != nil {
			return nil, exit(exitUsage, err)
		}
	}
	if p.rows = supported(sys, s.Rows()); len(p.rows) == 0 {
		return usage("%s has none of the contracts asked for: %v", sys, sys.Supports(s.Rows()[0]))
	}
	p.span, err = f.seedRange()
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	if f.out != "" {
		if used, _ := filepath.Glob(filepath.Join(f.out, "*")); len(used) > 0 {
			return usage("--out %s is not empty (%s); choose another directory", f.out, filepath.Base(used[0]))
		}
	}
	if f.trace && (len(p.rows) != 1 || p.span.From != p.span.To) {
		return usage("--trace is of one run: give --seed and one contract with --contracts")
	}
	return p, nil
}

// seedRange reads --seed, --seeds and --shard.
func (f *simFlags) seedRange() (sim.Range, error) {
	span := sim.Range{From: 1, To: 100}
	switch {
	case f.seedGiven && f.seeds != "":
		return span, errors.New("--seed and --seeds exclude each other")
	case f.seedGiven:
		span.From, span.To = f.seed, f.seed
	case f.seeds != "":
		from, to, _ := strings.Cut(f.seeds, "..")
		var errFrom, errTo error
		span.From, errFrom = strconv.ParseUint(from, 10, 63)
		span.To, errTo = strconv.ParseUint(to, 10, 63)
		if errFrom != nil || errTo != nil || span.To < span.From {
			return span, fmt.Errorf("--seeds %q: want A..B with 0 <= A <= B < 2^63", f.seeds)
		}
	}
	if span.To-span.From >= 10_000_000 {
		return span, fmt.Errorf("--seeds %q: more than 10,000,000 seeds; split the range", f.seeds)
	}
	if f.shard == "" {
		return span, nil
	}
	i, n, _ := strings.Cut(f.shard, "/")
	var errI, errN error
	span.Shard, errI = strconv.Atoi(i)
	span.Of, errN = strconv.Atoi(n)
	if errI != nil || errN != nil || span.Of < 1 || span.Of > 100_000 || span.Shard < 1 || span.Shard > span.Of {
		return span, fmt.Errorf("--shard %q: want I/N with 1 <= I <= N <= 100000", f.shard)
	}
	return span, nil
}

func (p *simPlan) cases() []sim.Case {
	var all []sim.Case
	for _, row := range p.rows {
		all = append(all, sim.Case{Scenario: p.scenario, Profile: p.profile, Contract: row})
	}
	return all
}

// printTrace runs one seed and prints what changes.
func (p *simPlan) printTrace(ctx context.Context, out io.Writer) error {
	c := p.cases()[0]
	c.Seed = p.span.From
	r, err := c.Do(ctx, sim.Watch{Lines: out})
	if err != nil {
		return exit(exitInterrupted, err)
	}
	fmt.Fprintf(out, "trace hash %016x, %d events, %v of virtual time\n", r.Hash, r.Steps, r.Virtual.Round(time.Millisecond))
	return simEnded(p.sweep(map[string]*result.SimRow{}, []sim.Run{r}))
}

// seedLine is what --output json prints for a seed. Source: contracts.md section 1.
type seedLine struct {
	Seed      uint64           `json:"seed"`
	Contract  string           `json:"contract"`
	TraceHash string           `json:"traceHash"`
	Verdict   string           `json:"verdict"`
	Faults    int              `json:"faults"`
	Messages  int              `json:"messages"`
	Anomalies map[string]int64 `json:"anomalies"`
	Violated  []string         `json:"violated,omitempty"` // anomalies that break a promise
	Stuck     bool             `json:"stuck,omitempty"`    // after the faults had ended the group did not get to serve again
	Ops       int              `json:"operations"`         // sends, polls, commits and reads
	Reasons   []string         `json:"reasons,omitempty"`
}

func lineOf(r *sim.Run) seedLine {
	line := seedLine{
		Seed: r.Case.Seed, Contract: scenarios.ContractName(r.Case.Contract), TraceHash: fmt.Sprintf("%016x", r.Hash), Verdict: r.Verdict.Verdict.String(),
		Faults: r.Faults, Messages: r.Sends, Anomalies: r.Verdict.Anomalies, Violated: r.Verdict.Violated, Stuck: r.Stuck, Ops: r.Ops, Reasons: r.Verdict.Reasons,
	}
	if r.Broken != "" {
		line.Verdict, line.Reasons = checker.Inconclusive.String(), []string{r.Broken}
	}
	if line.Anomalies == nil {
		line.Anomalies = map[string]int64{}
	}
	return line
}

// search runs all seeds of all contracts.
func (p *simPlan) search(ctx context.Context, out, progress io.Writer) error {
	encoder := json.NewEncoder(out)
	began := time.Now()
	rows := map[string]*result.SimRow{}
	var failed []sim.Run
	var broken error
	seeds := p.span.Seeds()
	for _, c := range p.cases() {
		name := scenarios.ContractName(c.Contract)
		bar := newSeedsBar(progress, name, len(seeds), p.output == "human")
		row := &result.SimRow{Contract: name, Verdicts: map[string]int{}, Marks: map[string]int{}}
		rows[name] = row
		err := sim.Search(ctx, c, seeds, p.workers, func(r sim.Run) bool {
			line := lineOf(&r)
			if p.output == "json" {
				if err := encoder.Encode(line); err != nil {
					broken = err
					return true
				}
			}
			add(row, &r, line)
			bar.step()
			if r.Broken != "" && !r.Unfit {
				broken = fmt.Errorf("seed %d of %s: %s", r.Case.Seed, name, r.Broken)
				return true
			}
			if r.Broken == "" && r.Verdict.Verdict == checker.Violated {
				r.History = nil // thousands may fail
				failed = append(failed, r)
				return !p.goOn
			}
			return false
		})
		bar.end()
		row.Seconds = time.Since(began).Seconds()
		began = time.Now()
		switch {
		case ctx.Err() != nil:
			return exit(exitInterrupted, ctx.Err())
		case err != nil:
			return exit(exitBroken, err)
		case broken != nil:
			return exit(exitBroken, broken)
		}
	}
	s := p.sweep(rows, failed)
	if p.output == "human" {
		io.WriteString(out, reports.Sim(s))
	}
	if err := p.dig(ctx, s, failed, out, progress); err != nil {
		return err
	}
	return simEnded(s)
}

// add counts a run.
func add(row *result.SimRow, r *sim.Run, line seedLine) {
	row.Seeds++
	row.Verdicts[line.Verdict]++
	row.Operations += int64(r.Ops)
	row.Virtual += r.Virtual.Seconds()
	for mark, n := range r.Marks {
		row.Marks[mark] += n
	}
	if line.Verdict == checker.Inconclusive.String() && len(line.Reasons) > 0 && row.Why == "" {
		row.Why = fmt.Sprintf("seed %d: %s", line.Seed, line.Reasons[0])
	}
}

// sweep sums the search up.
func (p *simPlan) sweep(rows map[string]*result.SimRow, failed []sim.Run) *result.Sim {
	s := &result.Sim{
		Schema: result.SimSchema, Tool: toolSeen(), Scenario: p.scenario.Name, System: "reference:" + p.profile,
		From: p.span.From, To: p.span.To, Shard: p.span.Shard, Of: p.span.Of, Wanted: p.scenario.Marks,
	}
	for _, c := range p.rows {
		if row := rows[scenarios.ContractName(c)]; row != nil {
			s.Rows = append(s.Rows, *row)
		}
	}
	for i := range failed {
		r := &failed[i]
		if r.Broken != "" || r.Verdict.Verdict != checker.Violated {
			continue
		}
		s.Failures = append(s.Failures, p.failure(r, p.file))
	}
	return s
}

func (p *simPlan) failure(r *sim.Run, file string) result.SimFailure {
	f := result.SimFailure{
		Contract: scenarios.ContractName(r.Case.Contract), Seed: r.Case.Seed, TraceHash: fmt.Sprintf("%016x", r.Hash),
		Violated: r.Verdict.Violated, Faults: r.Faults, Messages: r.Sends, Replay: "bin/" + r.Replay(file),
	}
	for _, finding := range r.Verdict.Findings {
		if len(f.Findings) < 4 && slices.Contains(r.Verdict.Violated, finding.Anomaly) {
			f.Findings = append(f.Findings, finding.Explain)
		}
	}
	return f
}

// dig shrinks the first failure where that is asked for, and writes the files.
func (p *simPlan) dig(ctx context.Context, s *result.Sim, failed []sim.Run, out, progress io.Writer) error {
	if p.out != "" {
		if err := os.MkdirAll(p.out, 0o755); err != nil {
			return exit(exitBroken, fmt.Errorf("--out: %w", err))
		}
	}
	if len(failed) > 0 && p.shrink {
		small, err := sim.Shrink(ctx, failed[0], p.shrinkRuns, func(runs int, best *sim.Run) {
			fmt.Fprintf(progress, "shrinking: run %d: %d faults, %d messages\n", runs, best.Faults, best.Sends)
		})
		if err != nil {
			return exit(exitInterrupted, err)
		}
		if err := p.keepShrunk(s, &small, out); err != nil {
			return err
		}
		failed = []sim.Run{small.Run}
	}
	if p.out == "" {
		return nil
	}
	var svg []byte
	if len(failed) > 0 {
		var err error
		if svg, err = p.draw(ctx, failed[0]); err != nil {
			return err
		}
	}
	if err := p.writePage(s, svg); err != nil {
		return exit(exitBroken, err)
	}
	if p.output == "human" {
		fmt.Fprintf(out, "\nresults  %s\npage     %s\n", filepath.Join(p.out, result.SimName), filepath.Join(p.out, "index.html"))
	}
	return nil
}

// writePage writes the results and their page.
func (p *simPlan) writePage(s *result.Sim, svg []byte) error {
	file, err := os.ReadFile(filepath.Join(p.out, shrunkName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	page, err := reports.SimPage(s, svg, file)
	if err != nil {
		return err
	}
	return errors.Join(result.WriteSim(p.out, s), result.WriteFile(filepath.Join(p.out, "index.html"), page))
}

// shrunkName is the file of the smallest case in the directory of a search.
const shrunkName = "shrunk.yaml"

// keepShrunk prints the smallest case as a scenario file, and keeps it beside the results.
func (p *simPlan) keepShrunk(s *result.Sim, small *sim.Shrunk, out io.Writer) error {
	r := &small.Run
	r.Case.Scenario.Name = "shrunk"
	r.Case.Scenario.Shows = "The smallest case of " + p.scenario.Name + " that shows " + r.Verdict.Violated[0] + "."
	r.Case.Scenario.Expect = nil
	file := shrunkName
	if p.out != "" {
		file = filepath.Join(p.out, file)
		if err := os.WriteFile(file, r.Case.Scenario.Encode(), 0o644); err != nil {
			return exit(exitBroken, err)
		}
	}
	f := p.failure(r, file)
	f.Shrunk = true
	s.Failures = append(s.Failures, f)
	if p.output != "human" {
		return nil
	}
	fmt.Fprintf(out, "\nShrunk in %d runs to %d faults and %d messages; as a scenario file:\n\n%s\n", small.Runs, r.Faults, r.Sends, r.Case.Scenario.Encode())
	for _, text := range f.Findings {
		fmt.Fprintf(out, "  %s\n", text)
	}
	fmt.Fprintf(out, "  replay: %s (trace hash %s)\n", f.Replay, f.TraceHash)
	return nil
}

// draw writes the spacetime diagram of a failure, and returns it.
func (p *simPlan) draw(ctx context.Context, r sim.Run) ([]byte, error) {
	again, err := r.Case.Do(ctx, sim.Watch{Moves: true})
	if err != nil {
		return nil, exit(exitInterrupted, err)
	}
	svg := reports.Spacetime(diagram(&again))
	if err := os.WriteFile(filepath.Join(p.out, "spacetime.svg"), svg, 0o644); err != nil {
		return nil, exit(exitBroken, err)
	}
	return svg, nil
}

// simEnded gives the exit code of a search. Source: contracts.md section 2.
func simEnded(s *result.Sim) error {
	if len(s.Failures) > 0 {
		return exit(exitViolated, errSilent)
	}
	for _, row := range s.Rows {
		if row.Verdicts[checker.Inconclusive.String()] == row.Seeds {
			return exit(exitInconclusive, fmt.Errorf("%s: no seed proves anything: %s", row.Contract, row.Why))
		}
	}
	if missing := s.Missing(); s.From < s.To && len(missing) > 0 { // one seed is no search
		return exit(exitInconclusive, fmt.Errorf("marks that %s names were never reached: %s", s.Scenario, strings.Join(missing, ", ")))
	}
	return nil
}
