package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"holdfast/loadgen"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/loadgen/nullserver"
	"holdfast/nemesis"
	"holdfast/reports"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/cluster/host"
	"holdfast/scenarios/cluster/sandbox"
	"holdfast/scenarios/sim"
)

// run does what the flags say.
func (f *matrixFlags) run(cmd *cobra.Command) error {
	p, err := f.plan()
	if err != nil {
		return err
	}
	if f.dryRun {
		return p.printPlan(cmd)
	}
	return p.execute(cmd)
}

// execute prepares the systems, which may need a network, enters the sandbox, and measures there.
func (p *matrixPlan) execute(cmd *cobra.Command) error {
	if err := p.prepare(cmd); err != nil {
		return err
	}
	note, err := p.chooseWorld()
	if err != nil {
		return err
	}
	if p.sandboxed() && !sandbox.Inside() {
		return enterSandbox()
	}
	r, err := p.claim()
	if err != nil {
		return err
	}
	if note != "" {
		r.Notes = append(r.Notes, note)
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	return p.measure(ctx, cmd, r)
}

// prepare makes the systems ready, and every other version of them that a rolling upgrade names.
func (p *matrixPlan) prepare(cmd *cobra.Command) error {
	for _, s := range p.subjects {
		if err := s.prepare(cmd.Context(), cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	return nil
}

func (s *subject) prepare(ctx context.Context, progress io.Writer) error {
	if err := s.system.Prepare(ctx, progress); err != nil {
		return err
	}
	for i := range s.matrix.Columns {
		for _, f := range s.matrix.Columns[i].Schedule(0) {
			version := f.Params.Version
			if f.Kind != nemesis.Upgrade || version == "" {
				continue
			}
			other, err := cluster.ParseSystem(s.system.Name + ":" + version)
			if err != nil {
				return err
			}
			if err := other.Prepare(ctx, progress); err != nil {
				return err
			}
			if s.others == nil {
				s.others = map[string]cluster.System{}
			}
			s.others[version] = other
		}
	}
	return nil
}

// interruptible returns a context that the first SIGINT or SIGTERM ends; a second one ends the process at once.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			fmt.Fprintln(os.Stderr, "holdfast: interrupted; healing faults and ending processes (again: end at once)")
			signal.Reset()
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}

// chooseWorld sets the worlds and returns what the reader must know of a world that fell back.
func (p *matrixPlan) chooseWorld() (note string, err error) {
	var instead, noNetwork error
	loopback := p.flags.world == "loopback"
	switch {
	case p.flags.world == worldSim:
		return "", p.simulate()
	case loopback:
	case sandbox.Inside():
		if noNetwork = whyNot(sandbox.Network()); noNetwork != nil {
			note = fmt.Sprintf("all nodes share 127.0.0.1, for no packet switch is possible here: %v; see 'holdfast doctor'", noNetwork)
		}
	default:
		if instead, err = p.noSandbox(); err != nil {
			return "", err
		}
		if instead != nil {
			loopback, note = true, fmt.Sprintf("world loopback, for no sandbox is possible here: %v; see 'holdfast doctor'", instead)
		}
	}
	for _, s := range p.subjects {
		s.matrix.Speed = cluster.Loopback{System: s.system, Others: s.others}
		s.matrix.World = cluster.Sandbox{System: s.system, Others: s.others, NoNetwork: noNetwork}
		if loopback {
			s.matrix.World = cluster.Loopback{System: s.system, Others: s.others, Instead: instead}
		}
	}
	return note, nil
}

// simulate puts every system into the simulator, which has the reference broker alone and measures no speed.
func (p *matrixPlan) simulate() error {
	for _, s := range p.subjects {
		if s.system.Name != cluster.Reference {
			return exit(exitUsage, fmt.Errorf("--world sim has the reference broker alone, not %s", s.system))
		}
		s.matrix.World, s.matrix.Perf = sim.World{Profile: s.system.Profile}, nil
	}
	return nil
}

// noSandbox is why there can be no sandbox here, nil when there can; it errs where the user wants one all the same.
func (p *matrixPlan) noSandbox() (why, err error) {
	err = sandbox.Probe()
	var impossible *sandbox.Impossible
	switch {
	case err == nil:
		return nil, nil
	case p.flags.world == "sandbox" || !errors.As(err, &impossible):
		return nil, exit(exitBroken, fmt.Errorf("--world %s: %w; see 'holdfast doctor'", p.flags.world, err))
	}
	return whyNot(impossible), nil
}

// whyNot is the reason of an *sandbox.Impossible with what mends it, for a sentence that says itself that it is not possible.
func whyNot(err error) error {
	var impossible *sandbox.Impossible
	switch {
	case !errors.As(err, &impossible):
		return err
	case impossible.Fix == "":
		return errors.New(impossible.Reason)
	}
	return fmt.Errorf("%s (%s)", impossible.Reason, impossible.Fix)
}

// sandboxed says whether the fault cells run in the sandbox.
func (p *matrixPlan) sandboxed() bool { return p.first().World.Name() == "sandbox" }

// claim takes the output directory: a new one, or an interrupted one of the same matrix, whose cells are kept.
func (p *matrixPlan) claim() (*result.Result, error) {
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return nil, exit(exitBroken, fmt.Errorf("--out: %w", err))
	}
	old, err := result.Read(p.out)
	switch {
	case err == nil && old.ConfigDigest != p.digest():
		return nil, exit(exitUsage, fmt.Errorf("--out %s holds the results of another matrix (configDigest %s, this one has %s); choose another directory", p.out, old.ConfigDigest, p.digest()))
	case err == nil && !old.Finished.IsZero():
		return nil, exit(exitUsage, fmt.Errorf("--out %s holds finished results; choose another directory", p.out))
	case err == nil:
		dropUnfinished(old)
		return old, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, exit(exitUsage, fmt.Errorf("--out: %w", err))
	}
	if used, _ := filepath.Glob(filepath.Join(p.out, "*")); len(used) > 0 {
		return nil, exit(exitUsage, fmt.Errorf("--out %s is not empty (%s) and holds no results; choose another directory", p.out, filepath.Base(used[0])))
	}
	return p.newResult()
}

// dropUnfinished takes out the cells that an interrupt cut short, so that they are measured again.
func dropUnfinished(r *result.Result) {
	r.Cells = slices.DeleteFunc(r.Cells, func(c result.Cell) bool { return c.Partial })
	r.Interrupted = false
	r.Derive()
}

// Free bytes that a matrix needs at --out at once: a saturated pass writes some 300 MB/s on each of two nodes; a fault cell
// two commit log files a node.
const (
	spaceForSpeed = 3 << 30
	spaceForFault = 256 << 20
)

// quiet is the load average per core above which a reader must know that others used the machine.
const quiet = 0.75

// enoughSpace errs when the disk would be full in the middle of the measurement.
func (p *matrixPlan) enoughSpace() error {
	need := int64(spaceForFault * p.first().Parallel)
	if p.first().Perf != nil {
		need = max(need, spaceForSpeed)
	}
	free, err := host.Free(p.out)
	if err == nil && free < need {
		err = fmt.Errorf("--out %s: %d MiB free, %d MiB needed; choose another directory", p.out, free>>20, need>>20)
		if len(p.first().Columns) > 0 {
			err = fmt.Errorf("%w, or fewer with --no-performance or --parallel 1", err)
		}
	}
	return err
}

func (p *matrixPlan) newResult() (*result.Result, error) {
	if err := p.enoughSpace(); err != nil {
		return nil, exit(exitBroken, err)
	}
	h, err := host.Measure(p.out)
	if err != nil {
		return nil, exit(exitBroken, err)
	}
	m := p.first()
	notes := p.shortened()
	if load := host.Load(); m.Perf != nil && load > quiet*float64(h.Cores) {
		notes = append(notes, fmt.Sprintf("the machine was not idle: load average %.1f when this began; throughput and latency are worth as much", load))
	}
	return &result.Result{
		Schema: result.Schema, Tool: result.Tool{Version: version, Commit: commit}, Started: time.Now().UTC().Truncate(time.Second), Seed: m.Seed,
		World: m.World.Name(), Scenario: p.scenario, System: m.System, Systems: p.systems(), Host: h, ConfigDigest: p.digest(), Verdict: result.Inconclusive,
		Planned: len(p.all().Plan()), Command: p.wholeCommand(), Settings: p.settings(), Rows: p.rows(),
		Notes: notes,
	}, nil
}

// shortened says which settings of the systems differ from their defaults, and what tuned ones have.
func (p *matrixPlan) shortened() []string {
	var notes []string
	said := map[string]bool{}
	for _, s := range p.subjects {
		note := s.system.Shortened()
		if len(p.subjects) > 1 {
			note = s.system.Name + ": " + note
		}
		if !said[note] {
			notes = append(notes, note)
		}
		said[note] = true
	}
	if i := slices.IndexFunc(p.subjects, func(s *subject) bool { return s.system.Tuned }); i >= 0 {
		notes = append(notes, "tuned: "+p.subjects[i].system.TunedText())
	}
	return notes
}

// systems lists those of a run of several; nil for one.
func (p *matrixPlan) systems() []result.System {
	if len(p.subjects) == 1 {
		return nil
	}
	var all []result.System
	for _, s := range p.subjects {
		all = append(all, s.matrix.System)
	}
	return all
}

// rows gives each contract the command that repeats all its cells.
func (p *matrixPlan) rows() []result.Row {
	var rows []result.Row
	for _, s := range p.subjects {
		for _, c := range s.matrix.Contracts {
			row := result.Row{Contract: c, Repeat: s.matrix.Command + " --contracts " + scenarios.ContractName(c)}
			if len(p.subjects) > 1 {
				row.System = s.system.String()
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// settings are the figures that bear on results, in print order: those of the run, then those of each system.
func (p *matrixPlan) settings() []result.Setting {
	m := p.first()
	list := []result.Setting{
		{Name: "cuts per fault cell", Value: fmt.Sprint(m.Cuts)},
		{Name: "client timeout", Value: m.Fault.Timeout.String()},
		{Name: "fault cells side by side", Value: fmt.Sprint(m.Parallel)},
		{Name: "trials alone", Value: fmt.Sprintf("%d a cell%s", m.Alone, in(m.AloneIn))},
		{Name: "network of fault cells", Value: p.networkText()},
		{Name: "power loss", Value: "worst: nothing survives that no fsync covered; names as ext4; unless the column says otherwise"},
		{Name: "cuts fall", Value: fmt.Sprintf("at ((i+u)/k) x %v after an fsync of the commit log; under SYNC_FLUSH between one fsync and the next", m.Fault.Window)},
	}
	for _, s := range p.subjects {
		of := ""
		if len(p.subjects) > 1 {
			of = " of " + s.system.String()
		}
		if l := s.matrix.Fault; len(s.matrix.Columns) > 0 {
			list = append(list, result.Setting{Name: "fault load" + of, Value: fmt.Sprintf("%d msg/s, %d B, Poisson arrivals, %d x %d outstanding, unless the column says otherwise", l.Rate, l.Size, l.Clients, l.InFlight)})
		}
		if pf := s.matrix.Perf; pf != nil {
			list = append(list, result.Setting{Name: "performance load" + of, Value: fmt.Sprintf("%d x %d outstanding, %d B, passes: %d, of %v and %v, warmed %s, JSON headers",
				pf.Clients, pf.InFlight, pf.Size, pf.Passes, pf.Measure, pf.LatencyOf, pf.Warming())})
		}
	}
	return list
}

// in limits a setting to columns; empty: all.
func in(columns []string) string {
	if columns == nil {
		return ""
	}
	return ", of " + strings.Join(columns, ", ")
}

// networkText says what joins the nodes of fault cells.
func (p *matrixPlan) networkText() string {
	world, sandboxed := p.first().World.(cluster.Sandbox)
	if p.first().World.Name() == worldSim {
		return "simulated"
	}
	if !sandboxed || world.NoNetwork != nil {
		return "127.0.0.1"
	}
	if p.flags.rtt == 0 {
		return "packet switch, no base round trip"
	}
	return fmt.Sprintf("packet switch, base round trip %v", p.flags.rtt)
}

// digest hashes everything that makes two runs of the matrix comparable.
func (p *matrixPlan) digest() string {
	type part struct {
		System result.System
		World  string
		Cells  []scenarios.Planned
		Seed   uint64
		Fault  scenarios.FaultLoad
		Perf   *scenarios.Performance
	}
	var parts []part
	for _, m := range p.all() {
		parts = append(parts, part{m.System, m.World.Name(), m.Plan(), m.Seed, m.Fault, m.Perf})
	}
	data, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("digest of a matrix: %v", err)) // plain data
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// measure runs the matrix and reports it.
func (p *matrixPlan) measure(ctx context.Context, cmd *cobra.Command, r *result.Result) error {
	human := p.flags.output == "human"
	live := p.liveReport(cmd, human)
	live.Start(p.livePlan(r))
	defer live.Stop()
	if world, ok := p.first().World.(cluster.Sandbox); ok {
		if err := world.SelfTest(ctx, p.out); err != nil {
			return exit(exitBroken, fmt.Errorf("the sandbox failed its self-test, so no fault would prove anything: %w", err))
		}
	}
	if perf := p.first().Perf; perf != nil {
		ceiling, err := generatorCeiling(ctx, perf)
		if err != nil && ctx.Err() == nil {
			return exit(exitBroken, fmt.Errorf("measure the generator: %w", err))
		}
		for _, m := range p.all() {
			m.Perf.Ceiling = ceiling
		}
		r.Settings = append(r.Settings, result.Setting{Name: "generator's ceiling", Value: fmt.Sprintf("%.0f msg/s against a null server", ceiling)})
	}
	failed := p.all().Run(ctx, r, live, p.save)
	if ctx.Err() == nil && failed == nil {
		r.Finished = time.Now().UTC().Truncate(time.Second)
	}
	r.Interrupted = ctx.Err() != nil
	r.Derive()
	if err := errors.Join(p.save(r), reports.WriteFiles(p.out, r)); err != nil {
		failed = errors.Join(failed, err)
	}
	if human {
		live.Finish(r, p.out)
	} else if err := json.NewEncoder(cmd.OutOrStdout()).Encode(r); err != nil {
		failed = errors.Join(failed, err)
	}
	return p.ended(ctx, r, failed)
}

// liveReport draws on the terminal, or writes plain lines into a pipe; for machines it draws nothing.
func (p *matrixPlan) liveReport(cmd *cobra.Command, human bool) *reports.Live {
	opt := reports.Detect(os.Stdout)
	if !human {
		opt.Terminal, opt.Color = false, false
		return reports.NewLive(cmd.ErrOrStderr(), cmd.ErrOrStderr(), opt)
	}
	return reports.NewLive(cmd.OutOrStdout(), cmd.ErrOrStderr(), opt)
}

// generatorCeiling measures what the generator offers to a server that does nothing, in msg/s.
func generatorCeiling(ctx context.Context, p *scenarios.Performance) (float64, error) {
	c, err := nullserver.Measure(ctx, loadgen.Config{
		Connections: p.Clients, Outstanding: p.InFlight, Body: loadgen.Around(p.Size), Seed: 1,
	}, rocketmq.Config{}, ceilingFor)
	return c.PerSecond, err
}

const ceilingFor = 700 * time.Millisecond

// printPlan prints the cells and the time that they will take.
func (p *matrixPlan) printPlan(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	total := p.all().Expect(func(string) bool { return false })
	if p.flags.output == "json" {
		return p.encodePlan(out, total)
	}
	for _, c := range p.all().Plan() {
		cuts := ""
		if c.Cuts > 0 {
			cuts = fmt.Sprintf("%d cuts, ", c.Cuts)
		}
		fmt.Fprintf(out, "%-48s %s%.0f s\n", c.ID, cuts, c.Expect.Seconds())
	}
	fmt.Fprintf(out, "%d cells, about %v\n", len(p.all().Plan()), total.Round(time.Second))
	return nil
}

// encodePlan prints the plan as one JSON object. seconds of a cell are those it takes alone, of the plan those of all.
func (p *matrixPlan) encodePlan(out io.Writer, total time.Duration) error {
	type cell struct {
		ID      string  `json:"id"`
		Cuts    int     `json:"cuts,omitempty"` // none: a performance cell
		Seconds float64 `json:"seconds"`
	}
	plan := struct {
		Cells   []cell  `json:"cells"`
		Seconds float64 `json:"seconds"`
	}{Seconds: total.Seconds()}
	for _, c := range p.all().Plan() {
		plan.Cells = append(plan.Cells, cell{c.ID, c.Cuts, c.Expect.Seconds()})
	}
	return json.NewEncoder(out).Encode(plan)
}
