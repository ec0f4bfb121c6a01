package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/nemesis"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/scenario"
)

// runFlags are the flags of run as given.
type runFlags struct {
	list, dryRun         bool
	world, system, home  string
	out, schedule        string
	contracts            []string
	cuts, repeat         int
	seed                 uint64
	output               string
	seedGiven, cutsGiven bool
	file                 string // of the scenario; empty: an embedded one
}

func newRunCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Run one scenario: an embedded one, by name, or a YAML file.",
		Long: `Run one scenario: an embedded one, by name ('holdfast run --list'), or a YAML file, by a path that ends in .yaml.

The exit code is 1 when the contract is violated or an expectation of the scenario failed, 2 when the run proves nothing,
3 when it could not run, 64 when a file or a flag is wrong, with FILE:LINE:COLUMN.`,
		Example: `  holdfast run power-returns --contracts SYNC_MASTER/2+ASYNC_FLUSH
  holdfast run random-mix --seed 7 --dry-run
  holdfast run --list`,
		Args: func(_ *cobra.Command, args []string) error { return f.arguments(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			f.seedGiven, f.cutsGiven = cmd.Flags().Changed("seed"), cmd.Flags().Changed("cuts")
			return f.run(cmd, args)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return completions(), cobra.ShellCompDirectiveDefault
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.list, "list", false, "list the embedded scenarios and what each shows, and stop")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the contracts and the schedule, and stop")
	flags.StringVar(&f.world, "world", worldAuto, "where it runs: auto, sandbox, loopback (kill and pause only) or sim; or two of them, such as sim,sandbox, which are held against each other")
	flags.StringVar(&f.system, "system", "reference", "system under test: reference[:PROFILE] or rocketmq:VERSION")
	flags.StringVar(&f.home, "rocketmq-home", "", "directory of an unpacked Apache RocketMQ release, instead of jars by Maven")
	flags.StringSliceVar(&f.contracts, "contracts", nil, "contracts to run it for, such as SYNC_MASTER/2+ASYNC_FLUSH (default the scenario's)")
	flags.IntVar(&f.cuts, "cuts", 0, "trials of each contract, each on fresh stores (default the scenario's)")
	flags.IntVar(&f.repeat, "repeat", 1, "how often the whole is repeated: so many times the trials")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of sizes, arrival times, phases of cuts and of a plan (default of a plan: the scenario's)")
	flags.StringVar(&f.schedule, "schedule", "", "file of a saved schedule that is replayed instead of the scenario's faults")
	flags.StringVar(&f.out, "out", "", "directory of the results (default out/run-SCENARIO-TIME)")
	addOutput(flags, &f.output, "human or json")
	return cmd
}

// arguments errs unless there is a scenario, or --list and none.
func (f *runFlags) arguments(args []string) error {
	switch {
	case f.list && len(args) > 0:
		return exit(exitUsage, fmt.Errorf("--list takes no scenario, not %q", args[0]))
	case !f.list && len(args) != 1:
		return exit(exitUsage, fmt.Errorf("one scenario is needed, not %d; 'holdfast run --list' names them", len(args)))
	}
	return nil
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.validate(); err != nil {
		return exit(exitUsage, err)
	}
	if f.list {
		return f.printList(cmd.OutOrStdout())
	}
	p, err := f.plan(args[0])
	if err != nil {
		return err
	}
	if f.dryRun {
		return p.print(cmd.OutOrStdout(), f.output == "json")
	}
	if worlds := f.worlds(); len(worlds) > 1 {
		return f.runWorlds(cmd, p, worlds)
	}
	return f.matrix(p, f.world, f.outDir(p)).execute(cmd)
}

func (f *runFlags) validate() error {
	for _, n := range []struct {
		flag          string
		got, from, to int
	}{{"--cuts", f.cuts, 0, 10_000}, {"--repeat", f.repeat, 1, 10_000}} {
		if n.got < n.from || n.got > n.to {
			return fmt.Errorf("%s %d is out of range; allowed: %d to %d", n.flag, n.got, n.from, n.to)
		}
	}
	if err := f.validateWorlds(); err != nil {
		return err
	}
	if f.seed > 1<<63-1 {
		return fmt.Errorf("--seed %d is out of range; allowed: 0 to %d", f.seed, int64(1<<63-1))
	}
	if f.home != "" && !strings.HasPrefix(f.system, cluster.RocketMQ) {
		return fmt.Errorf("--rocketmq-home needs --system rocketmq:VERSION, not %s", f.system)
	}
	return nil
}

// runPlan is what the flags and the scenario come to.
type runPlan struct {
	scenario scenario.Scenario
	system   cluster.System
	rows     []result.Contract
	cuts     int
	seed     uint64
	faults   nemesis.Schedule
}

// plan reads the scenario and the schedule and fills in the defaults. Its errors are wrong usage.
func (f *runFlags) plan(nameOrPath string) (*runPlan, error) {
	s, err := scenario.Load(nameOrPath)
	if err != nil {
		return nil, err
	}
	if nameOrPath != s.Name {
		f.file = nameOrPath
	}
	p := &runPlan{scenario: s, cuts: s.Cuts, seed: f.seed}
	if p.system, err = cluster.ParseSystem(f.system); err != nil {
		return nil, err
	}
	p.system.Home = f.home
	if !s.For(p.system.String()) {
		return nil, exit(exitUsage, fmt.Errorf("scenario %s is not for %s; it is for %s", s.Name, p.system, strings.Join(s.Systems, ", ")))
	}
	if err := p.system.SupportsMode(s.Cluster.Mode); err != nil {
		return nil, err
	}
	if f.cutsGiven {
		p.cuts = max(f.cuts, 1)
	}
	if p.rows, err = f.rows(s, p.system); err != nil {
		return nil, exit(exitUsage, err)
	}
	if s.Plan != nil && !f.seedGiven {
		p.seed = s.Plan.Seed
	}
	p.faults = s.Schedule(p.seed)
	if f.schedule == "" {
		return p, nil
	}
	saved, err := scenario.ReadSchedule(f.schedule)
	if err != nil {
		return nil, err
	}
	p.faults = saved.Faults
	if !f.seedGiven {
		p.seed = saved.Seed
	}
	return p, nil
}

// rows are the contracts to run for: those of --contracts, else the scenario's that the system has.
func (f *runFlags) rows(s scenario.Scenario, sys cluster.System) ([]result.Contract, error) {
	if len(f.contracts) > 0 {
		var err error
		if s.Contracts, err = scenarios.SelectContracts(f.contracts); err != nil {
			return nil, err
		}
	}
	rows := supported(sys, s.Rows())
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s has none of the contracts asked for: %w", sys, sys.Supports(s.Rows()[0]))
	}
	return rows, nil
}

// print prints what would be run.
func (p *runPlan) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return p.encode(out)
	}
	fmt.Fprintf(out, "%s: %s\nsystem %s, %d cuts of each contract, seed %d\n", p.scenario.Name, p.scenario.Shows, p.system, p.cuts, p.seed)
	for _, c := range p.rows {
		fmt.Fprintf(out, "contract %s\n", scenarios.ContractName(c))
	}
	if len(p.faults) == 0 {
		fmt.Fprintln(out, "no faults")
	}
	_, err := fmt.Fprint(out, p.faults)
	return err
}

// encode prints the plan as one JSON object.
func (p *runPlan) encode(out io.Writer) error {
	plan := struct {
		Scenario  string   `json:"scenario"`
		System    string   `json:"system"`
		Contracts []string `json:"contracts"`
		Cuts      int      `json:"cuts"`
		Seed      uint64   `json:"seed"`
		Faults    []string `json:"faults"`
	}{Scenario: p.scenario.Name, System: p.system.String(), Cuts: p.cuts, Seed: p.seed, Faults: []string{}}
	for _, c := range p.rows {
		plan.Contracts = append(plan.Contracts, scenarios.ContractName(c))
	}
	for _, fault := range p.faults {
		plan.Faults = append(plan.Faults, fault.String())
	}
	return json.NewEncoder(out).Encode(plan)
}

// listed is an embedded scenario as --list prints it.
type listed struct {
	Name  string `json:"name"`
	Shows string `json:"shows"`
}

// printList prints the embedded scenarios, one a line; as JSON, one object a line.
func (f *runFlags) printList(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, name := range scenario.Names() {
		s, err := scenario.Embedded(name)
		if err != nil {
			return exit(exitBroken, err)
		}
		if f.output == "json" {
			err = encoder.Encode(listed{name, s.Shows})
		} else {
			_, err = fmt.Fprintf(out, "%-28s %s\n", name, s.Shows)
		}
		if err != nil {
			return exit(exitBroken, err)
		}
	}
	return nil
}

// completions are the names of the embedded scenarios, for shells.
func completions() []string {
	names := scenario.Names()
	for i, name := range names {
		if s, err := scenario.Embedded(name); err == nil {
			names[i] += "\t" + s.Shows
		}
	}
	return names
}
