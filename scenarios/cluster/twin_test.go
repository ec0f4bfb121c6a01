package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/checker"
	"holdfast/reports/result"
	"holdfast/scenarios"
)

// TestTwinsAreInconclusive runs each control's twin: all as in the control, the load, the stamps of the fault, the reads, but
// that no power is cut and no process killed. A harness that calls it survived would count faults that did nothing.
func TestTwinsAreInconclusive(t *testing.T) {
	if outside != nil {
		t.Skip(outside)
	}
	sys, err := ParseSystem("reference")
	if err != nil {
		t.Fatal(err)
	}
	contract := result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}
	controls := slices.DeleteFunc(scenarios.Columns(), func(c scenarios.Column) bool { return !scenarios.IsControl(contract, c) })
	if len(controls) == 0 {
		t.Fatal("no control among the faults")
	}
	for _, column := range controls {
		t.Run(column.Name(), func(t *testing.T) {
			trial := scenarios.Trial{
				Name: "twin", System: result.System{Name: sys.Name, Profile: sys.Profile}, Contract: contract, Schedule: column.Schedule(7),
				Of: 1, Seed: 7, Dir: t.TempDir(), Twin: true,
				Load: scenarios.FaultLoad{
					Rate: 1000, Size: 512, Hold: 300 * time.Millisecond, After: 300 * time.Millisecond, MinAcks: 100,
					Window: scenarios.WindowUnderLoad, Drain: 10 * time.Second, Timeout: 8 * time.Second, Clients: 1, InFlight: 128,
				},
			}
			out, err := trial.Run(t.Context(), Sandbox{System: sys}, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			v := out.Verdict
			if v.Verdict != checker.Inconclusive || !strings.Contains(strings.Join(v.Reasons, " "), "effect") {
				t.Errorf("verdict %v (%v), want inconclusive for want of an effect", v.Verdict, v.Reasons)
			}
			if v.Acked["SEND_OK"] < 100 {
				t.Errorf("vacuous: acknowledged %v", v.Acked)
			}
		})
	}
}
