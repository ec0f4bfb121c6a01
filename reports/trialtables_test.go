package reports

import (
	"strings"
	"testing"

	"holdfast/reports/result"
)

// TestTablesOfPhases are there where they say something, and only there.
func TestTablesOfPhases(t *testing.T) {
	ok := map[string]result.StatusTime{"SEND_OK": {Count: 5, MedianMS: 2}}
	phases := func(during map[string]result.StatusTime, gapMS float64) *result.Trial {
		return &result.Trial{Phases: []result.Phase{{Name: "before", Statuses: ok, Delivered: 7, GapMS: 20}, {Name: "during", Statuses: during, Delivered: 3, GapMS: gapMS}}}
	}
	late := map[string]result.StatusTime{"FLUSH_SLAVE_TIMEOUT": {Count: 4, MedianMS: 3000, MaxMS: 3010}}
	asked := []result.Expectation{{What: "delivered during the fault"}}
	for _, row := range []struct {
		says     string
		trial    *result.Trial
		expected []result.Expectation
		statuses string // words of the last line of that table; "": no table
		waits    string
	}{
		{"no trial", nil, asked, "", ""},
		{"all as in health", phases(ok, 30), nil, "", ""},
		{"another status", phases(late, 30), nil, "during FLUSH_SLAVE_TIMEOUT 4 3.0 s 3.0 s", ""},
		{"a consumer that waited", phases(ok, 2400), nil, "", "during 3 2.4 s"},
		{"a wait that was asked for", phases(ok, 30), asked, "", "during 3 30.0 ms"},
	} {
		for _, x := range []struct {
			name, want string
			got        *grid
		}{{"statuses", row.statuses, phaseTable(row.trial)}, {"waits", row.waits, deliveryTable(row.trial, row.expected)}} {
			switch {
			case (x.got == nil) != (x.want == ""):
				t.Errorf("%s: table of %s: %v, want it %q", row.says, x.name, x.got != nil, x.want)
			case x.got != nil && !strings.Contains(strings.Join(strings.Fields(x.got.text(120, palette{})), " "), x.want):
				t.Errorf("%s: table of %s has not %q:\n%s", row.says, x.name, x.want, x.got.text(120, palette{}))
			}
		}
	}
	trials := []result.Trial{{Reads: &result.ReadTimes{Count: 10, Early: 2, EarliestMS: -90}}, {}, {Reads: &result.ReadTimes{Count: 5, EarliestMS: -3}}}
	if got, want := earlyText(trials), "2 of 15 messages more than 50 ms before their acknowledgement, up to 90.0 ms"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := earlyText(trials[1:]); got != "" {
		t.Errorf("nothing was early: got %q", got)
	}
}
