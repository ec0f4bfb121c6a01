package main

import (
	"slices"
	"testing"

	"holdfast/scenarios"
)

func TestShapes(t *testing.T) {
	got, err := parseShapes([]string{"1x1", "16x64"})
	if want := []scenarios.Shape{{Clients: 1, InFlight: 1}, {Clients: 16, InFlight: 64}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, wrong := range [][]string{nil, {"16"}, {"0x1"}, {"1x0"}, {"1x1", "1x1"}, {"axb"}, {"2000x1"}, {"1x1x1"}} {
		if got, err := parseShapes(wrong); err == nil {
			t.Errorf("%q: got %v, want an error", wrong, got)
		}
	}
}

func TestBenchRefusesWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"--passes", "0"}, {"--measure", "1ms"}, {"--latency", "0s"}, {"--shapes", "1"}, {"--system", "kafka"}, {"--contracts", "X"},
		{"--fail-on", "violated"}, {"--output", "xml"}, {"--size", "1"}} {
		if _, stderr, code := runCommand(t, append([]string{"bench", "--out", t.TempDir()}, args...)...); code != exitUsage {
			t.Errorf("%q: exit %d, want %d: %s", args, code, exitUsage, stderr)
		}
	}
}

func TestSoakRefusesWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"--for", "1s"}, {"--rate", "0"}, {"--contract", "X"}, {"--system", "rocketmq:5.5.0"}, {"--member", "/nonexistent/program"}, {"--output", "xml"}} {
		if _, stderr, code := runCommand(t, append([]string{"soak", "--member", "true", "--out", t.TempDir()}, args...)...); code != exitUsage {
			t.Errorf("%q: exit %d, want %d: %s", args, code, exitUsage, stderr)
		}
	}
}
