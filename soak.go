package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/soak"
)

// soakFlags are the flags of soak as given.
type soakFlags struct {
	length         time.Duration
	rate           int
	seed           uint64
	contract, out  string
	member, system string
	output         string
}

func newSoakCommand() *cobra.Command {
	var f soakFlags
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Run a broker group for hours under load, restarts and changing consumer groups; find what is lost, disordered or growing.",
		Long: `Run a broker group for hours under load, restarts and changing consumer groups; find what is lost, disordered or growing.

Name server, master and slave run as processes on the real disk. The brokers are stopped, killed and started again; members of
two consumer groups, Apache's own client, join, leave and crash. At the end every replica is read to its end and the history is
checked, what each group was given is held against what there was, and memory, goroutines and open files of every process late
in the run against those early in it. 'make soak' builds what it needs.`,
		Example: "  holdfast soak --for 2h --member bin/groupmember",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.length, "for", 4*time.Minute, "length of the load; start, last deliveries and complete reads come on top")
	flags.IntVar(&f.rate, "rate", 400, "msg/s over all topics")
	flags.StringVar(&f.contract, "contract", "SYNC_MASTER/2+ASYNC_FLUSH", "brokerRole and flushDiskType of the group")
	flags.StringVar(&f.system, "system", "reference", "system under test: reference[:PROFILE]")
	flags.StringVar(&f.member, "member", "bin/groupmember", "program of a member of a consumer group (conformance/groupmember)")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of sizes, arrival times and of who leaves when")
	flags.StringVar(&f.out, "out", "", "directory of the results (default out/soak-TIME)")
	addOutput(flags, &f.output, "human or json (soak.json on standard output)")
	return cmd
}

// config checks the flags. Its errors are wrong usage.
func (f *soakFlags) config() (soak.Config, error) {
	cfg := soak.Config{For: f.length, Rate: f.rate, Seed: f.seed, Out: f.out}
	system, err := cluster.ParseSystem(f.system)
	if err != nil {
		return cfg, err
	}
	if system.Name != cluster.Reference {
		return cfg, exit(exitUsage, fmt.Errorf("--system %s: only the reference broker has what is looked at: goroutines", f.system))
	}
	rows, err := scenarios.SelectContracts([]string{f.contract})
	if err != nil {
		return cfg, exit(exitUsage, fmt.Errorf("--contract: %w", err))
	}
	member, err := exec.LookPath(f.member)
	switch {
	case f.length < soak.ForMin:
		err = fmt.Errorf("--for %v; allowed: %v and more", f.length, soak.ForMin)
	case f.rate < soak.RateMin || f.rate > soak.RateMax:
		err = fmt.Errorf("--rate %d; allowed: %d to %d", f.rate, soak.RateMin, soak.RateMax)
	case err != nil:
		err = fmt.Errorf("--member %s: %w; 'make soak' builds it", f.member, err)
	}
	if err != nil {
		return cfg, exit(exitUsage, err)
	}
	if member, err = filepath.Abs(member); err != nil {
		return cfg, exit(exitBroken, err)
	}
	cfg.World, cfg.Contract, cfg.Member = cluster.Loopback{System: system}, rows[0], []string{member}
	if cfg.Out == "" {
		cfg.Out = filepath.Join("out", "soak-"+time.Now().Format("20060102-150405"))
	}
	if cfg.Out, err = filepath.Abs(cfg.Out); err != nil {
		return cfg, exit(exitBroken, err)
	}
	return cfg, nil
}

func (f *soakFlags) run(cmd *cobra.Command) error {
	cfg, err := f.config()
	if err != nil {
		return err
	}
	if used, _ := filepath.Glob(filepath.Join(cfg.Out, "*")); len(used) > 0 {
		return exit(exitUsage, fmt.Errorf("--out %s is not empty; choose another directory", cfg.Out))
	}
	if err := os.MkdirAll(cfg.Out, 0o755); err != nil {
		return exit(exitBroken, err)
	}
	cfg.Say = func(text string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s %s\n", time.Now().Format("15:04:05"), text) }
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	report, err := soak.Run(ctx, cfg)
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exit(exitInterrupted, errors.New("interrupted: every process has been ended; what was recorded is in "+cfg.Out))
	case err != nil:
		return exit(exitBroken, err)
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(cfg.Out, "soak.json"), append(text, '\n'), 0o644)
	}
	if err != nil {
		return exit(exitBroken, err)
	}
	if f.output == "json" {
		fmt.Fprintln(cmd.OutOrStdout(), string(text))
	} else {
		report.Write(cmd.OutOrStdout())
		fmt.Fprintln(cmd.OutOrStdout(), "results:", cfg.Out)
	}
	switch report.Verdict {
	case soak.Failed:
		return exit(exitViolated, errSilent)
	case soak.Inconclusive:
		return exit(exitInconclusive, errSilent)
	}
	return nil
}
