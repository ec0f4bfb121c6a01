package main

import (
	"bufio"
	"errors"
	"io"
	"syscall"

	"github.com/spf13/cobra"

	"holdfast/checker/history"
)

func newHistoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "Look into saved histories.",
		Example: "  holdfast history cat checker/testdata/power-loss-master.jsonl",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "cat FILE",
		Short:   "Print a history as JSON Lines, sorted by time: a run's directory, its history.hfh, or a JSON Lines file.",
		Example: "  holdfast history cat checker/testdata/power-loss-master.jsonl",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return historyCat(cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	})
	return cmd
}

// historyCat prints the history at path. A reader that wants no more of it is no failure.
func historyCat(stdout, stderr io.Writer, path string) error {
	out := bufio.NewWriterSize(stdout, 1<<16)
	var line []byte
	err := history.Walk(path, func(h history.Header) error {
		_, err := out.Write(history.AppendHeader(nil, h))
		return err
	}, func(name func(history.Sym) string, e *history.Event) error {
		line = history.AppendLine(line[:0], name, e)
		_, err := out.Write(line)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if errors.Is(err, syscall.EPIPE) || err == nil {
		return nil
	}
	return malformed(stderr, errors.Join(err, out.Flush()))
}
