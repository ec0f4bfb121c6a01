package scenarios

import (
	"strings"
	"testing"
	"time"

	"holdfast/loadgen"
	"holdfast/reports/result"
)

// measuredRow is a row with one pass of each loop, all of it a millisecond.
func measuredRow(m *Matrix, saturation, latency *float64) *speedRow {
	row := m.speedRow("id", result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "SYNC_FLUSH"})
	open := loadgen.NewLatency()
	for range 20_000 {
		open.Sent(0, 0)
		open.Done(0, 0, time.Millisecond)
	}
	acked := map[string]int64{fullStatus: 20_000}
	row.saturated(loadgen.Summary{Throughput: 50_000, Acked: acked, Stolen: saturation})
	row.opened(loadgen.Summary{Latency: open, Acked: acked, Stolen: latency}, 10_000)
	return row
}

func TestStolenTimeIsDoubt(t *testing.T) {
	m := &Matrix{Perf: &Performance{Clients: 1, InFlight: 1}}
	for _, c := range []struct {
		saturation, latency *float64
		doubts              []string
	}{
		{nil, nil, nil},
		{new(0.049), new(0.004), nil},
		{new(0.049), new(0.005), []string{"took 0.5% of the processors' time while the latency"}},
		{new(0.05), new(0.0), []string{"took 5.0% of the processors' time at saturation"}},
		{new(0.1), new(0.1), []string{"at saturation", "while the latency"}},
	} {
		got := m.finishRow(measuredRow(m, c.saturation, c.latency), nil)
		if want := len(c.doubts) > 0; (got.Verdict == result.Inconclusive) != want {
			t.Errorf("%v: verdict %s", c.doubts, got.Verdict)
		}
		if len(got.Reasons) != len(c.doubts) {
			t.Fatalf("got the reasons %q, want %q", got.Reasons, c.doubts)
		}
		for i, doubt := range c.doubts {
			if !strings.Contains(got.Reasons[i], doubt) {
				t.Errorf("got %q, want %q in it", got.Reasons[i], doubt)
			}
		}
	}
}

func TestWorstPassCounts(t *testing.T) {
	m := &Matrix{Perf: &Performance{Clients: 1, InFlight: 1}}
	row := measuredRow(m, new(0.01), nil)
	row.saturated(loadgen.Summary{Stolen: new(0.2)})
	row.saturated(loadgen.Summary{Stolen: new(0.1)})
	row.saturated(loadgen.Summary{})
	if s := row.cell.Stolen; s.Saturation == nil || *s.Saturation != 0.2 || s.Latency != nil {
		t.Errorf("got %v at saturation and %v, want 0.2 and nothing known of the latency", s.Saturation, s.Latency)
	}
	if got := result.Sum(row.cell.Acked); got != 40_000 {
		t.Errorf("%d acknowledgements counted, want those of both loops, 40,000", got)
	}
}
