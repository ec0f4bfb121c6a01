package sim

import (
	"testing"

	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/scenario"
	"os"
	"time"
)

func TestTry(t *testing.T) {
	s, err := scenario.Embedded(os.Getenv("SCEN"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	tr := scenarios.Trial{Name: "try", Scenario: s.Name, System: result.System{Name: "reference", Profile: "rocketmq-5"}, Of: 1,
		Contract: result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 1}, Seed: 5, Dir: t.TempDir(),
		Load: scenarios.FaultLoad{Rate: 2000, Size: 1024, Hold: 1500 * time.Millisecond, After: 800 * time.Millisecond, MinAcks: 500,
			Window: 500 * time.Millisecond, Drain: 20 * time.Second, Timeout: 8 * time.Second, Clients: 2, InFlight: 4096, Readers: 1},
		Schedule: s.Schedule(5)}
	out, err := tr.Run(t.Context(), World{Profile: "rocketmq-5"}, func(p string) { t.Log(time.Since(began), p) })
	t.Logf("%v %v %v\n%+v %v", time.Since(began), err, out.Effect, out.Verdict.Verdict, out.Verdict.Lost)
	t.Log(out.Verdict.Acked, out.Verdict.Anomalies, out.Verdict.Reasons)
}
