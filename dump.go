package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

func newDumpCommand() *cobra.Command {
	var output, against string
	cmd := &cobra.Command{
		Use:   "dump DIR",
		Short: "Show what a store directory holds: commit log, consume queues, index files, checkpoint, and where they contradict each other.",
		Long: "Show what a store directory holds, also one written by Apache RocketMQ. It reads only, takes no lock and\n" +
			"recovers nothing: of a store that lost power it shows what the power cut left.\n\n" +
			"With --against it compares two stores of one broker group byte by byte, a master's and a slave's say, and ends with 1 when they differ.",
		Example: "  holdfast dump ./store\n  holdfast dump ./master --against ./slave\n  holdfast dump ./store --output json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if against != "" {
				return compareStores(cmd.OutOrStdout(), args[0], against, output == "json")
			}
			return dump(cmd.OutOrStdout(), args[0], output == "json")
		},
	}
	addOutput(cmd.Flags(), &output, "form of the result: human or json")
	cmd.Flags().StringVar(&against, "against", "", "directory of another store, which this one is compared with")
	return cmd
}

// directory errs unless dir is one.
func directory(dir string) error {
	if info, err := os.Stat(dir); err != nil {
		return exit(exitUsage, err)
	} else if !info.IsDir() {
		return exit(exitUsage, fmt.Errorf("%s is not a directory", dir))
	}
	return nil
}

// dump prints what the store in dir holds.
func dump(w io.Writer, dir string, asJSON bool) error {
	if err := directory(dir); err != nil {
		return err
	}
	sum, err := store.Dump(vfs.OS(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return exit(exitUsage, fmt.Errorf("%s holds no store: %w", dir, err))
	}
	if err != nil {
		return exit(exitBroken, fmt.Errorf("%s: %w", dir, err))
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(sum)
	}
	return printDump(w, sum)
}

func printDump(w io.Writer, sum *store.Summary) error {
	l, c := &sum.CommitLog, &sum.Checkpoint
	fmt.Fprintf(w, "commit log   [%d, %d): %d records in %d files of %d bytes", l.Min, l.End, l.Records, l.Files, l.SegmentBytes)
	if l.Records > 0 {
		fmt.Fprintf(w, ", stored %s to %s", unixMS(l.FirstTime), unixMS(l.LastTime))
	}
	fmt.Fprintln(w)
	if l.Bad != "" || l.BehindEnd > 0 {
		fmt.Fprintf(w, "behind it    %d bytes that are no valid record: %s\n", l.BehindEnd, orText(l.Bad, "zeroes at its end, other bytes later"))
	}
	fmt.Fprintf(w, "checkpoint   commit log %s, consume queues %s, index %s\n", unixMS(c.PhysicTime), unixMS(c.LogicsTime), unixMS(c.IndexTime))
	if c.Ours {
		fmt.Fprintf(w, "on disk      commit log up to %d, with consume queues up to %d\n", c.Synced, c.Indexed)
	}
	fmt.Fprintf(w, "closed       %s\n", closed(sum))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nTOPIC\tQUEUE\tMIN\tMAX\tUNITS\tRECORDS\tNOT INDEXED\tAGREES")
	for _, q := range sum.Queues {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", q.Topic, q.QueueID, q.Min, q.Max, q.Units, q.Records, q.Unindexed, orText(q.Differs, "yes"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := printIndex(w, sum); err != nil {
		return err
	}
	for _, p := range sum.Problems {
		fmt.Fprintf(w, "problem: %s\n", p)
	}
	return nil
}

// printIndex prints the index files.
func printIndex(w io.Writer, sum *store.Summary) error {
	if len(sum.Index) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nINDEX FILE\tENTRIES\tROOM FOR\tSLOTS\tUSED\tFROM\tTO\tEXPIRED\tAGREES")
	for _, f := range sum.Index {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", f.Name, f.Entries, max(0, f.MaxIndexes-1), f.HashSlots, f.UsedSlots, f.BeginPhys, f.EndPhys, f.Expired, orText(f.Differs, "yes"))
	}
	if sum.Unlisted > 0 {
		fmt.Fprintf(t, "%d records with keys behind the last entry\n", sum.Unlisted)
	}
	return t.Flush()
}

// closed says whether the broker that wrote the store had closed it.
func closed(sum *store.Summary) string {
	switch {
	case !sum.Abort:
		return "yes"
	case sum.Checkpoint.Ours && sum.Checkpoint.Clean:
		return "yes, though the file abort is there"
	}
	return "no: a broker is running, or did not end properly"
}

func unixMS(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
