package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"holdfast/nemesis/leftover"
	"holdfast/scenarios/cluster/sandbox"
)

func TestDoctorText(t *testing.T) {
	d := diagnosis{
		Worlds: []worldSeen{
			{Name: "sandbox", Reason: "open /dev/fuse: permission denied", Fix: "as root: chmod 0666 /dev/fuse"},
			{Name: "loopback", Possible: true, Faults: []string{"kill", "pause"}, Impossible: []faultSeen{
				{Fault: "power", Reason: "power needs the sandbox"}, {Fault: "loss", Reason: "no packets"}, {Fault: "clog", Reason: "clog needs the sandbox"}}},
		},
		Checks: []check{
			{Name: "fsync", State: limited, Found: "p50 0.002 ms on tmpfs", Without: "figures are not those of a disk", Fix: "use a disk"},
			{Name: "clock", State: fine, Found: "tsc"},
			{Name: "java", State: missing, Found: "not found", Without: "--system rocketmq cannot run"},
		},
	}
	const want = `Worlds
  sandbox    no: open /dev/fuse: permission denied
  loopback   yes: faults kill, pause
             without power, clog: it needs the sandbox
             without loss: no packets
Machine
  !  fsync               p50 0.002 ms on tmpfs
  ok clock               tsc
  -  java                not found
To mend
  sandbox: as root: chmod 0666 /dev/fuse
  fsync: figures are not those of a disk; use a disk
  java: --system rocketmq cannot run
`
	if got := d.text(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDoctorUsage(t *testing.T) {
	for _, args := range [][]string{{"--output", "xml"}, {"--dir", "/no/such/directory"}, {"--dir", "/dev/null"}, {"extra"}} {
		cmd := newDoctorCommand()
		cmd.SetArgs(args)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		began := false
		cmd.PersistentPreRun = func(*cobra.Command, []string) { began = true }
		if err := cmd.Execute(); err == nil || exitCode(err, began) != exitUsage {
			t.Errorf("%v: got %v, want wrong usage", args, err)
		}
	}
}

// ownRun makes each program that the test starts a run of its own, not a part of the test's, with its notes in the test's directory.
func ownRun(t *testing.T) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("HOLDFAST_RUN", "")
}

// ownCleaning is ownRun for a test that cleans up; it skips it where that would be after somebody else.
func ownCleaning(t *testing.T) {
	t.Helper()
	ownRun(t)
	found, err := leftover.Find()
	if err != nil {
		t.Fatal(err)
	}
	if !found.None() {
		t.Skipf("killed runs of somebody else have left %+v", found)
	}
}

func TestDoctorCleanIsQuietWhenNothingIsLeft(t *testing.T) {
	ownCleaning(t)
	var out bytes.Buffer
	if err := runDoctor(context.Background(), &out, &doctorFlags{dir: ".", output: "json", clean: true}); err != nil {
		t.Fatal(err)
	}
	var found map[string]any
	if err := json.Unmarshal(out.Bytes(), &found); err != nil || found["directories"] != nil {
		t.Errorf("got %s, %v", out.Bytes(), err)
	}
}

func TestProgramSeen(t *testing.T) {
	for _, tt := range []struct {
		program, flag string
		want          state
		found         string
	}{
		{"echo", "\x1b[1mversion 7\x1b[m", fine, "version 7"},
		{"no-such-program-here", "-v", missing, "not found"},
	} {
		if got := programSeen(context.Background(), tt.program, tt.flag, "", ""); got.State != tt.want || got.Found != tt.found {
			t.Errorf("%s: got %+v", tt.program, got)
		}
	}
}

func TestChecksNameWhatHelps(t *testing.T) {
	for _, c := range []check{memorySeen(), freeSeen("."), freeSeen("/no/such"), filesSeen(), clockSeen(),
		limitSeen("pipe size", "/proc/sys/fs/pipe-max-size", 1, "bytes", "slow", "sysctl"), limitSeen("x", "/no/such", 1, "bytes", "slow", "sysctl"),
		abilitySeen("lossy disk", &sandbox.Impossible{Reason: "no FUSE", Fix: "modprobe fuse"}, "/dev/fuse", "no power cuts")} {
		if c.Name == "" || c.Found == "" || c.Without == "" || c.Fix == "" || !slices.Contains([]state{fine, limited, missing}, c.State) {
			t.Errorf("incomplete: %+v", c)
		}
	}
}
