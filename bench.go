package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/loadgen"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/loadgen/nullserver"
	"holdfast/reports"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
)

// benchFlags are the flags of bench as given.
type benchFlags struct {
	systems, contracts, shapes []string
	passes, size               int
	rates                      []int
	warm, measure, latency     time.Duration
	noStart                    bool
	seed                       uint64
	out, home, output, failOn  string
	attach, topic              string
	remote                     bool
}

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the speed of systems side by side, or of a running cluster: throughput by outstanding sends, latency by rate.",
		Long: `Measure the speed of systems side by side, or of a running cluster: throughput by outstanding sends, latency by rate.

Under each contract every system runs a closed loop of each shape and an open loop at one rate, half of what the slowest reaches,
on the real disk, in passes that are interleaved. With reference and rocketmq the ratios are held against what the reference broker is to
be: 10 times the throughput (8 under SYNC_MASTER, 3 with one synchronous sender), a tenth of the p99, a twentieth of the memory, and up
in 100 ms. Results go to --out: results.json, index.html, logs. Nothing else should run on the machine.

With --attach a cluster that runs is loaded instead, and nothing is done to it but that it gets messages: into --topic, which must exist and
which nobody should need.`,
		Example: `  holdfast bench --system reference --system rocketmq:5.5.0
  holdfast bench --contracts ASYNC_MASTER+SYNC_FLUSH --shapes 1x1,1x4,1x16,1x64
  holdfast bench --contracts ASYNC_MASTER+SYNC_FLUSH --shapes 16x64 --rate 1000,5000,20000
  holdfast bench --attach 127.0.0.1:9876 --topic Scratch --passes 1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.attach != "" {
				return f.runAttached(cmd)
			}
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.systems, "system", []string{"reference"}, "system under test: reference[:PROFILE] or rocketmq:VERSION[:tuned]; given several times, all are measured side by side")
	flags.StringSliceVar(&f.contracts, "contracts", nil, "contracts, such as SYNC_MASTER/2+ASYNC_FLUSH (default all six)")
	flags.StringSliceVar(&f.shapes, "shapes", []string{"1x1", "16x64", "1x64"}, "closed loops: CONNECTIONSxOUTSTANDING, sends outstanding on each connection")
	flags.IntVar(&f.passes, "passes", 3, "passes over all systems")
	flags.DurationVar(&f.warm, "warm", 0, "how long nodes are warmed before they are measured (default 1s; a JVM or an attached cluster until its throughput is level, at most 12s)")
	flags.DurationVar(&f.measure, "measure", 3*time.Second, "length of a closed loop, without its warming")
	flags.DurationVar(&f.latency, "latency", 5*time.Second, "length of an open loop")
	flags.IntSliceVar(&f.rates, "rate", nil, "msg/s of the open loops, several for a sweep (default half of what the slowest system reaches under the contract)")
	flags.StringVar(&f.attach, "attach", "", "HOST:PORT of the name servers of a running cluster, separated by ';': load that")
	flags.StringVar(&f.topic, "topic", "", "with --attach: the existing topic that gets the messages")
	flags.BoolVar(&f.remote, "allow-remote", false, "with --attach: name servers and brokers may have other addresses than 127.0.0.1")
	flags.IntVar(&f.size, "size", bodySize, "mean body size in bytes; sizes vary by a quarter around it")
	flags.BoolVar(&f.noStart, "no-start", false, "do not measure the time from exec to the first SEND_OK")
	flags.StringVar(&f.home, "rocketmq-home", "", "directory of an unpacked Apache RocketMQ release, instead of jars by Maven")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of sizes")
	flags.StringVar(&f.out, "out", "", "directory of the results (default out/bench-TIME)")
	flags.StringVar(&f.failOn, "fail-on", "", "exit 1 when a goal is 'missed'")
	addOutput(flags, &f.output, "human or json (results.json on standard output)")
	return cmd
}

// benchPlan is what the flags come to: a matrix of performance alone, and how it is measured.
type benchPlan struct {
	matrixPlan
	bench scenarios.Bench
}

// plan checks the flags. Its errors are wrong usage.
func (f *benchFlags) plan() (*benchPlan, error) {
	of := matrixFlags{systems: f.systems, contracts: f.contracts, size: f.size, rate: f.firstRate(), seed: f.seed, home: f.home, tunedGiven: true, faults: []string{result.NoFault},
		out: f.out, world: "loopback", output: f.output}
	if of.out == "" {
		of.out = newBenchDir()
	}
	if f.topic != "" || f.remote {
		return nil, exit(exitUsage, errors.New("--topic and --allow-remote go with --attach"))
	}
	inner, err := of.plan()
	if err != nil {
		return nil, err
	}
	p := &benchPlan{matrixPlan: *inner}
	if err := f.common(&p.bench, of.out); err != nil {
		return nil, exit(exitUsage, err)
	}
	if p.bench.Contracts, err = scenarios.SelectContracts(f.contracts); err != nil {
		return nil, exit(exitUsage, err)
	}
	for _, s := range p.subjects {
		m := s.matrix
		m.Several, m.Command = true, f.command(s.system)
		m.Perf.Measure, m.Perf.LatencyOf, m.Perf.Warm = f.measure, f.latency, f.warmth(m.Perf.Compiles)
		p.bench.Systems = append(p.bench.Systems, m)
	}
	return p, nil
}

// warmth is for how long nodes are warmed, at most where they compile.
func (f *benchFlags) warmth(compiles bool) time.Duration {
	switch {
	case f.warm > 0:
		return f.warm
	case compiles:
		return warmCompiling
	}
	return warmCompiled
}

// newBenchDir is where results go that are not told where.
func newBenchDir() string {
	return filepath.Join("out", "bench-"+time.Now().Format("20060102-150405"))
}

// firstRate is the first rate that was given, 0 without one.
func (f *benchFlags) firstRate() int {
	if len(f.rates) == 0 {
		return 0
	}
	return f.rates[0]
}

// What flags of loads are bounded by.
const (
	rateMax             = 10_000_000 // msg/s
	sizeLeast, sizeMost = 64, 1 << 20
)

// common checks the flags that every bench has, and puts them into b.
func (f *benchFlags) common(b *scenarios.Bench, out string) (err error) {
	for _, n := range []struct {
		flag     string
		got      time.Duration
		from, to time.Duration
	}{{"--warm", f.warm, 0, time.Hour}, {"--measure", f.measure, 100 * time.Millisecond, time.Hour}, {"--latency", f.latency, 100 * time.Millisecond, time.Hour}} {
		if n.got < n.from || n.got > n.to {
			return fmt.Errorf("%s %v is out of range; allowed: %v to %v", n.flag, n.got, n.from, n.to)
		}
	}
	if f.passes < 1 || f.passes > 100 {
		return fmt.Errorf("--passes %d is out of range; allowed: 1 to 100", f.passes)
	}
	if f.failOn != "" && f.failOn != string(result.Missed) {
		return fmt.Errorf("--fail-on %q is unknown; allowed: missed", f.failOn)
	}
	for i, rate := range f.rates {
		if rate < 1 || rate > rateMax || slices.Contains(f.rates[:i], rate) {
			return fmt.Errorf("--rate %d; allowed: different rates, 1 to %d", rate, rateMax)
		}
	}
	b.Passes, b.Rates, b.Out = f.passes, f.rates, out
	b.Shapes, err = parseShapes(f.shapes)
	return err
}

// How long the first closed loop of a launch warms: a JVM until it is level, at most so long.
const (
	warmCompiling = 12 * time.Second
	warmCompiled  = time.Second
)

// parseShapes reads CONNECTIONSxOUTSTANDING.
func parseShapes(texts []string) (shapes []scenarios.Shape, err error) {
	for _, text := range texts {
		clients, inFlight, ok := strings.Cut(text, "x")
		c, errC := strconv.Atoi(clients)
		n, errN := strconv.Atoi(inFlight)
		if !ok || errC != nil || errN != nil || c < 1 || n < 1 || c > 1024 || n > 4096 {
			return nil, fmt.Errorf("--shapes %q; allowed: CONNECTIONSxOUTSTANDING, 1x1 to 1024x4096", text)
		}
		s := scenarios.Shape{Clients: c, InFlight: n}
		if slices.Contains(shapes, s) {
			return nil, fmt.Errorf("--shapes %q stands twice", text)
		}
		shapes = append(shapes, s)
	}
	if len(shapes) == 0 {
		return nil, errors.New("--shapes is empty; allowed: CONNECTIONSxOUTSTANDING, such as 1x1,16x64")
	}
	return shapes, nil
}

// command repeats the bench of some systems, but for the contracts.
func (f *benchFlags) command(systems ...cluster.System) string {
	words := []string{"bin/holdfast bench"}
	for _, s := range systems {
		words = append(words, "--system "+s.String())
	}
	return strings.Join(append(words, f.loadWords()), " ")
}

// loadWords are the flags that say what the loads are.
func (f *benchFlags) loadWords() string {
	words := fmt.Sprintf("--shapes %s --passes %d --measure %v --latency %v --size %d --seed %d", strings.Join(f.shapes, ","), f.passes, f.measure, f.latency, f.size, f.seed)
	if f.warm > 0 {
		words += fmt.Sprintf(" --warm %v", f.warm)
	}
	for _, rate := range f.rates {
		words += fmt.Sprintf(" --rate %d", rate)
	}
	return words
}

func (f *benchFlags) run(cmd *cobra.Command) error {
	p, err := f.plan()
	if err != nil {
		return err
	}
	if err := p.prepare(cmd); err != nil {
		return err
	}
	if _, err := p.chooseWorld(); err != nil {
		return err
	}
	if err := takeEmpty(p.out); err != nil {
		return err
	}
	r, err := p.newResult()
	if err != nil {
		return err
	}
	var systems []cluster.System
	for _, s := range p.subjects {
		systems = append(systems, s.system)
	}
	r.Command, r.Planned = f.command(systems...), 0
	if !f.noStart {
		p.bench.First = func(ctx context.Context, system int, dir string) (time.Duration, error) {
			return cluster.FirstSend(ctx, p.subjects[system].system, p.bench.Contracts[0], dir)
		}
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	return f.carryOut(ctx, cmd, &p.bench, r)
}

// takeEmpty makes the directory of the results, which must be new or empty.
func takeEmpty(out string) error {
	if used, _ := filepath.Glob(filepath.Join(out, "*")); len(used) > 0 {
		return exit(exitUsage, fmt.Errorf("--out %s is not empty; choose another directory", out))
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return exit(exitBroken, fmt.Errorf("--out: %w", err))
	}
	return nil
}

// carryOut runs a bench and reports it.
func (f *benchFlags) carryOut(ctx context.Context, cmd *cobra.Command, b *scenarios.Bench, r *result.Result) error {
	b.Say = func(text string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s %s\n", time.Now().Format("15:04:05"), text) }
	for i := range b.Shapes {
		s := &b.Shapes[i]
		ceiling, err := nullserver.Measure(ctx, loadgen.Config{Connections: s.Clients, Outstanding: s.InFlight, Body: loadgen.Around(f.size), Seed: 1}, rocketmq.Config{}, ceilingFor)
		if err != nil && ctx.Err() == nil {
			return exit(exitBroken, fmt.Errorf("measure the generator: %w", err))
		}
		s.Ceiling = ceiling.PerSecond
		r.Settings = append(r.Settings, result.Setting{Name: "generator's ceiling, " + s.String(), Value: fmt.Sprintf("%.0f msg/s against a null server", s.Ceiling)})
		b.Say(fmt.Sprintf("generator against a null server, %s: %.0f msg/s", s, s.Ceiling))
	}
	save := func(r *result.Result) error { return r.Write(filepath.Join(b.Out, result.FileName)) }
	failed := b.Run(ctx, r, save)
	if r.Interrupted = ctx.Err() != nil; !r.Interrupted && failed == nil {
		r.Finished = time.Now().UTC().Truncate(time.Second)
	}
	r.Derive()
	failed = errors.Join(failed, save(r), reports.WriteFiles(b.Out, r))
	if f.output == "json" {
		failed = errors.Join(failed, json.NewEncoder(cmd.OutOrStdout()).Encode(r))
	} else {
		opt := reports.Detect(os.Stdout)
		_, err := io.WriteString(cmd.OutOrStdout(), reports.Bench(r, b.Out, opt.Width, opt.Color))
		failed = errors.Join(failed, err)
	}
	switch {
	case r.Interrupted:
		return exit(exitInterrupted, errors.New("interrupted: what is known is in "+b.Out))
	case failed != nil:
		return exit(exitBroken, failed)
	}
	return f.missed(r)
}

// missed errs where --fail-on asks for it.
func (f *benchFlags) missed(r *result.Result) error {
	if i := slices.IndexFunc(r.Goals, func(g result.Goal) bool { return g.Standing == result.Missed }); f.failOn != "" && i >= 0 {
		return exit(exitViolated, fmt.Errorf("--fail-on missed: %s %s %s", r.Goals[i].Contract, r.Goals[i].What, r.Goals[i].Load))
	}
	return nil
}
