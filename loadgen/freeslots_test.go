package loadgen

import (
	"testing"

	"pgregory.net/rapid"
)

// TestFreeSlotsHoldEachSlotOnce under any order of taking, giving back and turning.
func TestFreeSlotsHoldEachSlotOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots, lanes := rapid.IntRange(1, 20).Draw(t, "slots"), rapid.IntRange(1, 6).Draw(t, "lanes")
		f := newFreeSlots(slots, lanes)
		taken := map[uint32]bool{}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			switch slot := uint32(rapid.IntRange(0, slots-1).Draw(t, "slot")); {
			case rapid.Bool().Draw(t, "turn"):
				f.turn()
			case taken[slot]:
				f.push(slot)
				delete(taken, slot)
			case f.n > 0:
				lane, full := f.next, len(f.stacks[f.next]) > 0
				got := f.pop()
				if taken[got] || full && int(got)%lanes != lane {
					t.Fatalf("got slot %d at the turn of lane %d, taken %v", got, lane, taken[got])
				}
				taken[got] = true
			}
			if f.n+len(taken) != slots {
				t.Fatalf("%d free and %d taken of %d", f.n, len(taken), slots)
			}
		}
	})
}
