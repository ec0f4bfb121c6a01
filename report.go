package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"holdfast/reports"
	"holdfast/reports/result"
)

// newReportCommand renders saved results again.
func newReportCommand() *cobra.Command {
	var format, output string
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Print the tables and the answer of saved results again, and renew their index.html and junit.xml.",
		Example: `  holdfast matrix --quick --out out/first && holdfast report out/first
  holdfast report out/first --format markdown`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runReport(cmd.OutOrStdout(), args[0], format, output)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or markdown (for a README)")
	addOutput(cmd.Flags(), &output, "human or json (results.json on standard output)")
	cmd.AddCommand(newReportMergeCommand())
	return cmd
}

// newReportMergeCommand joins the shards of a search.
func newReportMergeCommand() *cobra.Command {
	var out, output string
	cmd := &cobra.Command{
		Use:   "merge DIR...",
		Short: "Join the shards of one search in the simulator: each DIR is the --out of a 'holdfast sim --shard I/N'.",
		Example: `  holdfast sim storm --seeds 1..1000 --shard 1/2 --out out/1 && holdfast sim storm --seeds 1..1000 --shard 2/2 --out out/2
  holdfast report merge out/1 out/2`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return mergeSim(cmd.OutOrStdout(), args, out, output)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "directory for the joined sim.json")
	addOutput(cmd.Flags(), &output, "human or json (sim.json on standard output)")
	return cmd
}

func mergeSim(stdout io.Writer, dirs []string, out, output string) error {
	var shards []*result.Sim
	for _, dir := range dirs {
		s, err := result.ReadSim(dir)
		if err != nil {
			return exit(exitUsage, fmt.Errorf("%s holds no results of a search: %w", dir, err))
		}
		shards = append(shards, s)
	}
	all, err := result.MergeSim(shards)
	if err != nil {
		return exit(exitUsage, err)
	}
	if out != "" {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return exit(exitBroken, fmt.Errorf("--out: %w", err))
		}
		if err := result.WriteSim(out, all); err != nil {
			return exit(exitBroken, err)
		}
	}
	return printSim(stdout, all, output)
}

// printSim prints the results of a search, and ends as the search did.
func printSim(stdout io.Writer, s *result.Sim, output string) error {
	var err error
	if output == "json" {
		err = json.NewEncoder(stdout).Encode(s)
	} else {
		_, err = io.WriteString(stdout, reports.Sim(s))
	}
	if err != nil {
		return exit(exitBroken, err)
	}
	return simEnded(s)
}

func runReport(stdout io.Writer, dir, format, output string) error {
	if format != "text" && format != "markdown" {
		return exit(exitUsage, fmt.Errorf("--format %q: want text or markdown", format))
	}
	if s, err := result.ReadSim(dir); err == nil {
		return printSim(stdout, s, output)
	}
	r, err := result.Read(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return exit(exitUsage, fmt.Errorf("%s holds no results: %w", dir, err))
	case errors.Is(err, result.ErrMalformed), errors.Is(err, result.ErrSchema):
		return exit(exitUsage, err)
	case err != nil:
		return exit(exitBroken, err)
	}
	if err := printReport(stdout, r, dir, format, output); err != nil {
		return exit(exitBroken, err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil // a file by itself: nothing lies beside it that is ours to renew
	}
	if err := reports.WriteFiles(dir, r); err != nil {
		return exit(exitBroken, err)
	}
	return nil
}

func printReport(w io.Writer, r *result.Result, dir, format, output string) error {
	switch {
	case output == "json":
		return json.NewEncoder(w).Encode(r)
	case format == "markdown":
		_, err := io.WriteString(w, reports.Markdown(r))
		return err
	}
	opt := reports.Options{Width: 120}
	if f, ok := w.(*os.File); ok {
		opt = reports.Detect(f)
	}
	if r.Scenario != "" {
		_, err := io.WriteString(w, reports.Scenario(r, dir, opt.Width, opt.Color))
		return err
	}
	_, err := io.WriteString(w, reports.Text(r, dir, opt.Width, opt.Color))
	return err
}
