package scenarios

import (
	"context"
	"strings"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen"
)

// drainClient is the history's client of the complete reads; loads count up from 1.
const drainClient = 1 << 20

// otherReplicas bounds how long the reads of a node that does not serve the group may take: what it holds explains losses,
// but the verdict does not hang on it.
const otherReplicas = 2 * time.Second

// drain reads every queue of every node that is up to the end that the node itself reports, twice, the node that serves the
// group first; group by group, for a node holds the queues of its own. What cannot be read by its deadline is recorded as such, and the
// checker finds the run inconclusive. It errs only when ctx ends.
func drain(ctx context.Context, cluster Cluster, rec *history.Recorder, queues int, deadline time.Duration) error {
	byGroup := map[string][]string{}
	for q := range queues {
		name := cluster.Driver().QueueName(topic, queues, int32(q))
		group, _, _ := strings.Cut(name, "/")
		byGroup[group] = append(byGroup[group], name)
	}
	process := int32(drainClient)
	for _, g := range append([]QueueGroup{{Name: cluster.QueueGroup(), Nodes: cluster.Serving()}}, cluster.Beside()...) {
		for i, node := range g.Nodes {
			limit := deadline
			if i > 0 {
				limit = otherReplicas
			}
			reading, cancel := cluster.Clock().WithTimeout(ctx, limit)
			d := loadgen.Drain{
				Admin: cluster.Driver().Admin(), Recorder: rec, Process: process,
				Nodes: []string{node}, Queues: byGroup[g.Name], Sleep: cluster.Clock().Sleep,
			}
			_ = d.Run(reading) // what is missing is missing in the history, where the checker sees it
			cancel()
			process++
		}
	}
	return ctx.Err()
}
