package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/nemesis/disk"
	"holdfast/nemesis/leftover"
	"holdfast/scenarios/cluster/sandbox"
)

// doctorFlags are what the doctor command takes.
type doctorFlags struct {
	dir    string
	output string
	clean  bool
	prove  bool
}

func newDoctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can do for experiments, and how to get what is missing.",
		Example: `  holdfast doctor
  holdfast doctor --dir out --output json
  holdfast doctor --clean`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), cmd.OutOrStdout(), &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", ".", "directory whose file system the experiments will use; fsync is measured there")
	addOutput(flags, &f.output, "human or json")
	flags.BoolVar(&f.clean, "clean", false, "remove what killed runs left: processes, mounts, directories")
	flags.BoolVar(&f.prove, "prove", false, "inside a sandbox, cut the power of a lossy disk")
	if err := flags.MarkHidden("prove"); err != nil { // the flag is defined above
		panic(err)
	}
	return cmd
}

func runDoctor(ctx context.Context, w io.Writer, f *doctorFlags) error {
	if info, err := os.Stat(f.dir); err != nil || !info.IsDir() {
		return exit(exitUsage, fmt.Errorf("--dir %s is no directory", f.dir))
	}
	switch {
	case f.prove:
		return prove(ctx, w, f.dir)
	case f.clean:
		return clean(w, f.output)
	}
	d := examine(ctx, f.dir)
	if f.output == "json" {
		return writeJSON(w, d)
	}
	_, err := io.WriteString(w, d.text())
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// prove enters a sandbox and cuts the power of a lossy disk over dir there. It ends with 0 when what was synced is there
// and the rest is not.
func prove(ctx context.Context, w io.Writer, dir string) error {
	if !sandbox.Inside() {
		code, err := sandbox.Enter()
		if err != nil {
			return err
		}
		return exit(code, nil)
	}
	disks, err := disk.Start(ctx, disk.Config{})
	if err != nil {
		return err
	}
	if err := errors.Join(disk.SelfTest(ctx, disks, dir), disks.Close()); err != nil {
		return err
	}
	fmt.Fprintln(w, "synced bytes survived the cut, others did not, by write and by mmap")
	return nil
}

// clean removes what killed runs left, and says what that was.
func clean(w io.Writer, output string) error {
	found, err := leftover.Find()
	if err != nil {
		return err
	}
	if err := found.Clean(); err != nil {
		return err
	}
	if output == "json" {
		return writeJSON(w, found)
	}
	if found.None() {
		fmt.Fprintln(w, "Nothing was left by killed runs.")
		return nil
	}
	for _, pid := range found.Processes {
		fmt.Fprintln(w, "killed process", pid)
	}
	for _, mount := range found.Mounts {
		fmt.Fprintln(w, "unmounted", mount)
	}
	for _, dir := range found.Directories {
		fmt.Fprintln(w, "removed", dir)
	}
	return nil
}

// text renders the diagnosis for people.
func (d diagnosis) text() string {
	var b strings.Builder
	fmt.Fprintln(&b, "Worlds")
	for _, world := range d.Worlds {
		if !world.Possible {
			fmt.Fprintf(&b, "  %-9s  no: %s\n", world.Name, world.Reason)
			continue
		}
		fmt.Fprintf(&b, "  %-9s  yes: faults %s\n", world.Name, strings.Join(world.Faults, ", "))
		for _, line := range world.without() {
			fmt.Fprintf(&b, "  %-9s  without %s\n", "", line)
		}
	}
	fmt.Fprintln(&b, "Machine")
	for _, c := range d.Checks {
		mark := map[state]string{fine: "ok", limited: "!", missing: "-"}[c.State]
		fmt.Fprintf(&b, "  %-2s %-18s  %s\n", mark, c.Name, c.Found)
	}
	if mend := d.mend(); len(mend) > 0 {
		fmt.Fprintln(&b, "To mend")
		for _, line := range mend {
			fmt.Fprintln(&b, "  "+line)
		}
	}
	return b.String()
}

// without lists the faults that are not possible, one line for each reason.
func (w worldSeen) without() (lines []string) {
	var reasons []string
	faults := map[string][]string{}
	for _, f := range w.Impossible {
		reason := strings.ReplaceAll(f.Reason, f.Fault, "it") // so that reasons that name their fault are one
		if faults[reason] == nil {
			reasons = append(reasons, reason)
		}
		faults[reason] = append(faults[reason], f.Fault)
	}
	for _, reason := range reasons {
		lines = append(lines, strings.Join(faults[reason], ", ")+": "+reason)
	}
	return lines
}

// mend lists, one line each, what is not as it should be, what that costs, and what helps.
func (d diagnosis) mend() (lines []string) {
	for _, world := range d.Worlds {
		said := slices.ContainsFunc(d.Checks, func(c check) bool { return c.State != fine && c.Fix == world.Fix })
		if !world.Possible && world.Fix != "" && !said {
			lines = append(lines, world.Name+": "+world.Fix)
		}
	}
	for _, c := range d.Checks {
		if c.State == fine {
			continue
		}
		line := c.Name + ": " + c.Without
		if c.Fix != "" {
			line += "; " + c.Fix
		}
		lines = append(lines, line)
	}
	return lines
}
