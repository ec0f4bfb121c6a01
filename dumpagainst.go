package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"

	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// compareStores prints how the stores in two directories differ; it ends with 1 when they do.
func compareStores(w io.Writer, first, second string, asJSON bool) error {
	for _, dir := range []string{first, second} {
		if err := directory(dir); err != nil {
			return err
		}
	}
	c, err := store.Compare(vfs.OS(first), vfs.OS(second))
	if errors.Is(err, fs.ErrNotExist) {
		return exit(exitUsage, fmt.Errorf("%s or %s holds no store: %w", first, second, err))
	}
	if err != nil {
		return exit(exitBroken, fmt.Errorf("compare %s and %s: %w", first, second, err))
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		err = enc.Encode(c)
	} else {
		err = printComparison(w, [2]string{first, second}, c)
	}
	if err != nil {
		return exit(exitBroken, err)
	}
	if !c.Equal() {
		return exit(exitViolated, errSilent)
	}
	return nil
}

func printComparison(out io.Writer, dirs [2]string, c *store.Comparison) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "store\tlog from\tvalid to\twritten to\trecords\n")
	for i, sum := range c.Summaries {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", dirs[i], sum.CommitLog.Min, sum.CommitLog.End, c.Ends[i], sum.CommitLog.Records)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "commit logs: %d of %d bytes that both have differ, in %d runs\n", c.Differing, c.Compared, c.Runs)
	if d := c.First; d != nil {
		fmt.Fprintf(out, "first difference at %d: %s; %s\n", d.At, holderText(d.Records[0]), holderText(d.Records[1]))
	}
	for _, q := range c.Queues {
		fmt.Fprintf(out, "queue %s/%d ends at %d; %d\n", q.Topic, q.QueueID, q.Max[0], q.Max[1])
	}
	if c.Equal() {
		fmt.Fprintln(out, "equal")
	}
	return nil
}

// holderText names a record, or says that no valid one is there.
func holderText(h *store.Holder) string {
	if h == nil {
		return "no valid record"
	}
	return fmt.Sprintf("%s/%d offset %d, which begins at %d", h.Topic, h.QueueID, h.QueueOffset, h.At)
}
