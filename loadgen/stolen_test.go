package loadgen

import "testing"

func TestStolenShare(t *testing.T) {
	before := parseProcessorTime([]byte("cpu  100 10 50 800 20 0 10 10 7 3\ncpu0 1 1 1 1 1 1 1 1 0 0\n"))
	after := parseProcessorTime([]byte("cpu  150 10 70 900 20 0 10 40 9 3\ncpu0 1 1 1 1 1 1 1 1 0 0\n"))
	if before.all != 1000 || before.stolen != 10 {
		t.Fatalf("of the first line: %+v, want 1000 ticks, 10 of them stolen; guests' are contained in user and nice", before)
	}
	if got := after.stolenSince(before); got == nil || *got != 0.15 {
		t.Errorf("30 of 200 ticks were stolen: got %v, want 0.15", got)
	}
}

func TestStolenIsNotKnown(t *testing.T) {
	some := parseProcessorTime([]byte("cpu  100 10 50 800 20 0 10 10\n"))
	for name, stat := range map[string]string{"nothing": "", "a kernel before steal": "cpu  1 2 3 4 5 6 7\n", "no number": "cpu  1 2 3 4 5 6 7 x\n"} {
		unknown := parseProcessorTime([]byte(stat))
		if unknown != (processorTime{}) {
			t.Errorf("%s: %+v", name, unknown)
		}
		if got := some.stolenSince(unknown); got != nil {
			t.Errorf("%s before: a share of %v", name, *got)
		}
		if got := unknown.stolenSince(some); got != nil {
			t.Errorf("%s after: a share of %v", name, *got)
		}
	}
}
