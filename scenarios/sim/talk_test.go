package sim

import "testing"

// TestRepliesBesideTheLoad: in a share of the runs somebody waits for replies to messages; some are taken, some are not, and no answer says what
// was not so: tell looks for that.
func TestRepliesBesideTheLoad(t *testing.T) {
	talks, taken, refused := 0, 0, 0
	for _, name := range []string{"power-returns", "storm-pair"} {
		c := caseOf(t, name, "SYNC_MASTER/2+SYNC_FLUSH", 0)
		tell(t, c, many(t, 30), func(r Run) {
			answers := r.Marks[markReplyTaken] + r.Marks[markReplyRefused]
			if !Draw(r.Case.Seed).Talk && answers > 0 {
				t.Errorf("%s, seed %d: %d replies answered in a run without any", name, r.Case.Seed, answers)
			}
			talks += min(1, answers)
			taken += r.Marks[markReplyTaken]
			refused += r.Marks[markReplyRefused]
		})
	}
	if talks < 6 || taken < 20 || refused < 20 {
		t.Errorf("replies in %d runs, %d taken, %d not: nothing is tested", talks, taken, refused)
	}
}
