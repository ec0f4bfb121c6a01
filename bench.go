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
	passes, size, rate         int
	measure, latency           time.Duration
	noStart                    bool
	seed                       uint64
	out, home, output, failOn  string
}

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the speed of one or several systems side by side: throughput by outstanding sends, latency, memory, start.",
		Long: `Measure the speed of one or several systems side by side: throughput by outstanding sends, latency, memory, start.

Under each contract every system runs a closed loop of each shape and an open loop at one rate, half of what the slowest reaches,
on the real disk, in passes that are interleaved. With reference and rocketmq the ratios are held against what the reference broker is to
be: 10 times the throughput (8 under SYNC_MASTER, 3 with one synchronous sender), a tenth of the p99, a twentieth of the memory, and up
in 100 ms. Results go to --out: results.json, index.html, logs. Nothing else should run on the machine.`,
		Example: `  holdfast bench --system reference --system rocketmq:5.5.0
  holdfast bench --contracts ASYNC_MASTER+SYNC_FLUSH --shapes 1x1,1x4,1x16,1x64`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.systems, "system", []string{"reference"}, "system under test: reference[:PROFILE] or rocketmq:VERSION[:tuned]; given several times, all are measured side by side")
	flags.StringSliceVar(&f.contracts, "contracts", nil, "contracts, such as SYNC_MASTER/2+ASYNC_FLUSH (default all six)")
	flags.StringSliceVar(&f.shapes, "shapes", []string{"1x1", "16x64", "1x64"}, "closed loops: CONNECTIONSxOUTSTANDING, sends outstanding on each connection")
	flags.IntVar(&f.passes, "passes", 3, "passes over all systems")
	flags.DurationVar(&f.measure, "measure", 3*time.Second, "length of a closed loop, without its warming")
	flags.DurationVar(&f.latency, "latency", 5*time.Second, "length of an open loop")
	flags.IntVar(&f.rate, "rate", 0, "msg/s of the open loops (default half of what the slowest system reaches under the contract)")
	flags.IntVar(&f.size, "size", bodySize, "mean body size in bytes; sizes vary by a quarter around it")
	flags.BoolVar(&f.noStart, "no-start", false, "do not measure the time from exec to the first SEND_OK")
	flags.StringVar(&f.home, "rocketmq-home", "", "directory of an unpacked Apache RocketMQ release, instead of jars by Maven")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of sizes")
	flags.StringVar(&f.out, "out", "", "directory of the results (default out/bench-TIME)")
	flags.StringVar(&f.failOn, "fail-on", "", "exit 1 when a goal is 'missed'")
	flags.StringVar(&f.output, "output", "human", "human or json (results.json on standard output)")
	return cmd
}

// benchPlan is what the flags come to: a matrix of performance alone, and how it is measured.
type benchPlan struct {
	matrixPlan
	bench scenarios.Bench
}

// plan checks the flags. Its errors are wrong usage.
func (f *benchFlags) plan() (*benchPlan, error) {
	of := matrixFlags{systems: f.systems, contracts: f.contracts, size: f.size, rate: f.rate, seed: f.seed, home: f.home, tunedGiven: true, faults: []string{result.NoFault},
		out: f.out, world: "loopback", output: f.output}
	if of.out == "" {
		of.out = filepath.Join("out", "bench-"+time.Now().Format("20060102-150405"))
	}
	inner, err := of.plan()
	if err != nil {
		return nil, err
	}
	for _, n := range []struct {
		flag     string
		got      time.Duration
		from, to time.Duration
	}{{"--measure", f.measure, 100 * time.Millisecond, time.Hour}, {"--latency", f.latency, 100 * time.Millisecond, time.Hour}} {
		if n.got < n.from || n.got > n.to {
			return nil, exit(exitUsage, fmt.Errorf("%s %v is out of range; allowed: %v to %v", n.flag, n.got, n.from, n.to))
		}
	}
	if f.passes < 1 || f.passes > 100 {
		return nil, exit(exitUsage, fmt.Errorf("--passes %d is out of range; allowed: 1 to 100", f.passes))
	}
	if f.failOn != "" && f.failOn != string(result.Missed) {
		return nil, exit(exitUsage, fmt.Errorf("--fail-on %q is unknown; allowed: missed", f.failOn))
	}
	p := &benchPlan{matrixPlan: *inner}
	if p.bench.Shapes, err = parseShapes(f.shapes); err != nil {
		return nil, exit(exitUsage, err)
	}
	if p.bench.Contracts, err = scenarios.SelectContracts(f.contracts); err != nil {
		return nil, exit(exitUsage, err)
	}
	p.bench.Passes, p.bench.Rate, p.bench.Out = f.passes, f.rate, of.out
	for _, s := range p.subjects {
		m := s.matrix
		m.Several, m.Command = true, f.command(s.system)
		m.Perf.Measure, m.Perf.LatencyOf = f.measure, f.latency
		if m.Perf.Compiles {
			m.Perf.Warm = warmCompiling
		} else {
			m.Perf.Warm = warmCompiled
		}
		p.bench.Systems = append(p.bench.Systems, m)
	}
	return p, nil
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
	return strings.Join(append(words, "--shapes "+strings.Join(f.shapes, ","), fmt.Sprintf("--passes %d --measure %v --latency %v --size %d --seed %d", f.passes, f.measure, f.latency, f.size, f.seed)), " ")
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
	if used, _ := filepath.Glob(filepath.Join(p.out, "*")); len(used) > 0 {
		return exit(exitUsage, fmt.Errorf("--out %s is not empty; choose another directory", p.out))
	}
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return exit(exitBroken, err)
	}
	r, err := p.newResult()
	if err != nil {
		return err
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	return p.measure(ctx, cmd, f, r)
}

// measure runs the bench and reports it.
func (p *benchPlan) measure(ctx context.Context, cmd *cobra.Command, f *benchFlags, r *result.Result) error {
	b := &p.bench
	b.Say = func(text string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s %s\n", time.Now().Format("15:04:05"), text) }
	if !f.noStart {
		b.First = func(ctx context.Context, system int, dir string) (time.Duration, error) {
			return cluster.FirstSend(ctx, p.subjects[system].system, b.Contracts[0], dir)
		}
	}
	var systems []cluster.System
	for _, s := range p.subjects {
		systems = append(systems, s.system)
	}
	r.Command, r.Planned = f.command(systems...), 0
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
	failed := b.Run(ctx, r, p.save)
	if r.Interrupted = ctx.Err() != nil; !r.Interrupted && failed == nil {
		r.Finished = time.Now().UTC().Truncate(time.Second)
	}
	r.Derive()
	failed = errors.Join(failed, p.save(r), reports.WriteFiles(p.out, r))
	if f.output == "json" {
		failed = errors.Join(failed, json.NewEncoder(cmd.OutOrStdout()).Encode(r))
	} else {
		opt := reports.Detect(os.Stdout)
		_, err := io.WriteString(cmd.OutOrStdout(), reports.Bench(r, p.out, opt.Width, opt.Color))
		failed = errors.Join(failed, err)
	}
	switch {
	case r.Interrupted:
		return exit(exitInterrupted, errors.New("interrupted: what is known is in "+p.out))
	case failed != nil:
		return exit(exitBroken, failed)
	}
	if i := slices.IndexFunc(r.Goals, func(g result.Goal) bool { return g.Standing == result.Missed }); f.failOn != "" && i >= 0 {
		return exit(exitViolated, fmt.Errorf("--fail-on missed: %s %s %s", r.Goals[i].Contract, r.Goals[i].What, r.Goals[i].Load))
	}
	return nil
}
