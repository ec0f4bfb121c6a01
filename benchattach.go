package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/cluster/host"
)

// runAttached loads a cluster that runs.
func (f *benchFlags) runAttached(cmd *cobra.Command) error {
	servers, err := f.attachedTo(cmd)
	if err != nil {
		return exit(exitUsage, err)
	}
	if f.out == "" {
		f.out = newBenchDir()
	}
	var b scenarios.Bench
	if err := f.common(&b, f.out); err != nil {
		return exit(exitUsage, err)
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	found, err := cluster.Attach(ctx, servers, f.topic, f.remote)
	switch {
	case errors.Is(err, cluster.ErrRemote):
		return exit(exitUsage, fmt.Errorf("--attach: %w; --allow-remote permits it", err))
	case err != nil:
		return exit(exitBroken, fmt.Errorf("--attach %s --topic %s: %w", f.attach, f.topic, err))
	}
	if err := takeEmpty(f.out); err != nil {
		return err
	}
	m := f.attachedMatrix(found)
	b.Systems, b.Contracts, b.Attached = []*scenarios.Matrix{m}, m.Contracts, found
	sum := sha256.Sum256([]byte(m.Command + found.Version + found.Contract.String()))
	return f.carryOut(ctx, cmd, &b, &result.Result{
		Schema: result.Schema, Tool: result.Tool{Version: version, Commit: commit}, Started: time.Now().UTC().Truncate(time.Second), Seed: f.seed,
		World: result.Attached, System: m.System, Host: host.Machine(), ConfigDigest: hex.EncodeToString(sum[:8]), Verdict: result.Inconclusive, Command: m.Command,
		Notes: []string{fmt.Sprintf("topic %s, %d queues; the host is the generator's, what else runs on the cluster's is not known", f.topic, found.Topic.Queues)},
	})
}

// attachedTo checks the flags of an attached bench and returns the addresses of the name servers.
func (f *benchFlags) attachedTo(cmd *cobra.Command) ([]string, error) {
	if f.topic == "" {
		return nil, errors.New("--attach needs --topic: an existing topic that nobody needs")
	}
	for _, flag := range []string{"system", "contracts", "rocketmq-home", "no-start", "fail-on"} {
		if cmd.Flags().Changed(flag) {
			return nil, fmt.Errorf("--%s does not go with --attach, which takes a cluster as it is", flag)
		}
	}
	if f.size < sizeLeast || f.size > sizeMost {
		return nil, fmt.Errorf("--size %d is out of range; allowed: %d to %d", f.size, sizeLeast, sizeMost)
	}
	servers := strings.Split(f.attach, ";")
	for _, s := range servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, fmt.Errorf("--attach %q; allowed: HOST:PORT, several with ';' between", f.attach)
		}
	}
	return servers, nil
}

// attachedMatrix is the one row of an attached bench. Nobody knows whether its brokers get faster while they run, so they are given time for it.
func (f *benchFlags) attachedMatrix(found *cluster.Attached) *scenarios.Matrix {
	command := fmt.Sprintf("bin/holdfast bench --attach '%s' --topic '%s' %s", f.attach, f.topic, f.loadWords())
	if f.remote {
		command += " --allow-remote"
	}
	return &scenarios.Matrix{
		System: result.System{Name: result.Attached, Version: found.Version}, Contracts: []result.Contract{found.Contract}, Seed: f.seed, Out: f.out, Command: command,
		Perf: &scenarios.Performance{Passes: f.passes, Size: f.size, Warm: f.warmth(true), Compiles: true, Measure: f.measure, LatencyOf: f.latency, Topic: found.Topic},
	}
}
