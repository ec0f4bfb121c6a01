package reports

import (
	"slices"
	"strings"
	"testing"
)

// TestColumnWords: a column that is not listed must still be told from the others.
func TestColumnWords(t *testing.T) {
	for _, row := range []struct {
		column faultColumn
		want   columnWords
	}{
		{faultColumn{"power-returns-then-promoted", "power", "master", "returns"}, columns[3]},
		{faultColumn{"power-slave-returns", "power", "slave", "returns"}, columnWords{"power-slave-returns", "power slave\nit returns",
			"power loss of the slave, it returns", "when the slave lost power and returned", "power loss"}},
		{faultColumn{"pause-slave", "pause", "slave", ""}, columnWords{"pause-slave", "pause slave\n", "pause of the slave", "when the slave was paused", "pause"}},
		{faultColumn{"my-own-way-to-fail", "power", "master", "returns"}, columnWords{"my-own-way-to-fail", "my-own-way-to-\nfail",
			"my-own-way-to-fail", "under my-own-way-to-fail", "my-own-way-to-fail"}},
	} {
		if got := row.column.words(); got != row.want {
			t.Errorf("%s: got %q, want %q", row.column.name, got, row.want)
		}
	}
}

// TestColumnsAgreeWithTheirFaults: the columns whose fault says all have the words that any fault gets.
func TestColumnsAgreeWithTheirFaults(t *testing.T) {
	for _, f := range sampleFaults {
		want := columnWords{f.name, faultHead(f.fault, f.target, f.recovery), faultTitle(f.fault, f.target, f.recovery),
			faultClause(f.fault, f.target, f.recovery), f.words().short}
		if got := f.words(); got != want || !strings.HasPrefix(got.short, faultWord(f.fault)) {
			t.Errorf("%s: got %q, want %q", f.name, got, want)
		}
	}
}

// TestColumnsStandInPrintOrder, in whatever order the cells ended; a user's scenario stands behind them.
func TestColumnsStandInPrintOrder(t *testing.T) {
	r := wide()
	slices.Reverse(r.Cells)
	r.Derive()
	var got []string
	for _, f := range newView(r, nil).faults {
		got = append(got, f.name)
	}
	var want []string
	for _, w := range columns[:12] { // what every contract has
		want = append(want, w.name)
	}
	if want = append(want, "full-disk-then-clock-jump"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
