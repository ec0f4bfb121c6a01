package result

import "testing"

func TestCompareWorlds(t *testing.T) {
	cell := func(v Verdict, windows ...float64) *Result {
		c := Cell{ID: "x", Verdict: v}
		for _, ms := range windows {
			c.Trials = append(c.Trials, Trial{Verdict: v, WindowMS: ms, Lost: map[string]int64{"SEND_OK": int64(ms)}})
		}
		return &Result{World: "w", Cells: []Cell{c}}
	}
	for _, row := range []struct {
		says string
		a, b *Result
		want string
	}{
		{"both lost nothing", cell(Kept, 0, 0), cell(Kept, 0, 0), AgreeYes},
		{"ranges meet", cell(LossWithinContract, 100, 300), cell(LossWithinContract, 250, 400), AgreeYes},
		{"another verdict", cell(Kept, 0), cell(LossWithinContract, 100), AgreeNo},
		{"two cuts on either side", cell(LossWithinContract, 100, 110), cell(LossWithinContract, 200, 210), AgreeUndecided},
		{"three cuts on either side", cell(LossWithinContract, 100, 105, 110), cell(LossWithinContract, 200, 205, 210), AgreeUndecided},
		{"four cuts on either side", cell(LossWithinContract, 100, 103, 105, 110), cell(LossWithinContract, 200, 203, 205, 210), AgreeNo},
	} {
		got := CompareWorlds(row.a, row.b)
		if len(got) != 1 || got[0].Agree != row.want || (got[0].Why == "") != (row.want == AgreeYes) {
			t.Errorf("%s: got %+v, want %s", row.says, got, row.want)
		}
	}
	if got := CompareWorlds(cell(Kept), &Result{}); len(got) != 0 {
		t.Errorf("no cell in common: got %+v", got)
	}
}
