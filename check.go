package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"holdfast/checker"
	"holdfast/checker/history"
)

func newCheckCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Judge saved histories from the files alone: what was lost, reordered or not linearizable.",
		Long: `Judge saved histories from the files alone. FILE is a run's directory, its history.hfh, or a JSON Lines history.
The exit code is that of the worst verdict: 0 kept or loss within the contract, 1 violated, 2 inconclusive; 64 when a
file is not a history, with FILE:LINE: rule on stderr.`,
		Example: "  holdfast check checker/testdata/power-loss-master.jsonl",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			return checkFiles(cmd.OutOrStdout(), cmd.ErrOrStderr(), files, output == "json")
		},
	}
	addOutput(cmd.Flags(), &output, "form of the result: human or json (one object a file, one a line)")
	return cmd
}

// checkFiles judges files and prints their results once all are known: a malformed one among them means no verdicts.
func checkFiles(stdout, stderr io.Writer, files []string, asJSON bool) error {
	var out bytes.Buffer
	worst := checker.Kept
	for _, file := range files {
		result, err := checkFile(file)
		if err != nil {
			return malformed(stderr, err)
		}
		if len(files) > 1 {
			result.File = file
		}
		worst = max(worst, result.Verdict)
		if !asJSON {
			out.WriteString(result.Text())
			continue
		}
		text, err := json.Marshal(result)
		if err != nil {
			return exit(exitBroken, err)
		}
		out.Write(append(text, '\n'))
	}
	if _, err := stdout.Write(out.Bytes()); err != nil {
		return exit(exitBroken, err)
	}
	switch worst {
	case checker.Violated:
		return exit(exitViolated, nil)
	case checker.Inconclusive:
		return exit(exitInconclusive, nil)
	}
	return nil
}

// checkMemory is what the collector keeps the process below if it can: a history of 10 M operations needs 1.5 GiB, most
// of it in a few arrays without pointers, which cost little to collect often.
const checkMemory = 1700 << 20

func checkFile(file string) (checker.Result, error) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(checkMemory))
	h, err := history.Open(file)
	if err != nil {
		return checker.Result{}, err
	}
	return checker.Check(h), nil
}

// malformed prints where a history breaks which rule, as FILE:LINE: rule alone, and ends the process with wrong usage.
func malformed(stderr io.Writer, err error) error {
	if !errors.Is(err, history.ErrMalformed) {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return exit(exitUsage, err)
		}
		return exit(exitBroken, err)
	}
	if _, err := fmt.Fprintln(stderr, err); err != nil {
		return exit(exitBroken, err)
	}
	return exit(exitUsage, nil)
}
