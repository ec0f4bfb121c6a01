package scenarios

import (
	"holdfast/broker/store"
	"holdfast/reports/result"
)

// StorePairOf sums a comparison up.
func StorePairOf(first, second string, c *store.Comparison) result.StorePair {
	p := result.StorePair{
		Nodes: [2]string{first, second}, Ends: c.Ends, Compared: c.Compared, Differing: c.Differing, Runs: c.Runs,
		Valid: [2]int64{c.Summaries[0].CommitLog.End, c.Summaries[1].CommitLog.End},
	}
	if c.First != nil {
		p.First = c.First.At
	}
	for _, q := range c.Queues {
		p.Missing += max(0, q.Max[0]-q.Max[1])
	}
	p.Frozen = p.Missing > 0 && p.Ends[1] >= p.Ends[0]
	return p
}
