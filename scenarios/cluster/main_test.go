package cluster

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"holdfast/nemesis/disk"
	"holdfast/nemesis/network"
	"holdfast/scenarios/cluster/sandbox"
)

// outside says why the tests do not run in a sandbox; nil when they do.
var outside error

// TestMain runs all tests of the package in a sandbox where one is possible. What needs a network comes before.
func TestMain(m *testing.M) {
	if code, ok := disk.Main(); ok {
		os.Exit(code)
	}
	if code, ok := network.Main(); ok {
		os.Exit(code)
	}
	if code, ok := runNode(os.Args); ok {
		os.Exit(code)
	}
	if code, ok := sandbox.Main(); ok {
		os.Exit(code)
	}
	if !sandbox.Inside() {
		prepareApache()
		code, err := sandbox.Enter()
		if err == nil {
			os.Exit(code)
		}
		outside = err
	}
	os.Exit(m.Run())
}

// prepareApache fetches the jars; a failure shows in the test that needs them.
func prepareApache() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, version := range triedVersions {
		if reasonAgainst() != "" || version != triedVersions[0] && os.Getenv("HOLDFAST_LONG") != "1" {
			continue
		}
		sys, err := ParseSystem("rocketmq:" + version)
		if err == nil {
			err = sys.Prepare(ctx, os.Stderr)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
