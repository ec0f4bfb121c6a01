package soak

import (
	"testing"
)

// given puts deliveries of one queue into a ledger, each offset by a member, a second apart.
func ledgerOf(ordered bool, offsets []int64, members []int) *ledger {
	l := newLedger(1, ordered)
	for i, offset := range offsets {
		member := 1
		if members != nil {
			member = members[i]
		}
		l.add(delivery{at: int64(i+1) * 1e9, member: member, offset: offset})
	}
	return l
}

func TestLedger(t *testing.T) {
	for _, tc := range []struct {
		name    string
		ordered bool
		offsets []int64
		members []int
		end     int64
		missing int64
		skipped int64
		again   int64
		moves   int64
	}{
		{name: "everything once", ordered: true, offsets: []int64{0, 1, 2, 3}, end: 4},
		{name: "the last one is missing", ordered: true, offsets: []int64{0, 1, 2}, end: 4, missing: 1},
		{name: "one in the middle is missing, and the next came before it", ordered: true, offsets: []int64{0, 1, 3}, end: 4, missing: 1, skipped: 1},
		{name: "a group without order may be given them as they come", offsets: []int64{1, 0, 3, 2}, end: 4},
		{name: "a new member begins where the group had committed", ordered: true, offsets: []int64{0, 1, 2, 1, 2, 3}, members: []int{1, 1, 1, 2, 2, 2}, end: 4, again: 2, moves: 1},
		{name: "a new member begins beyond", ordered: true, offsets: []int64{0, 1, 3}, members: []int{1, 1, 2}, end: 4, missing: 1, skipped: 1, moves: 1},
		{name: "beyond the end that counts nothing is missing", ordered: true, offsets: []int64{0, 1, 2}, end: 2},
	} {
		l := ledgerOf(tc.ordered, tc.offsets, tc.members)
		l.expect(0, tc.end)
		g := l.judge(&stream{group: "g", topic: "T"})
		if g.Missing != tc.missing || g.Skipped != tc.skipped || g.Again != tc.again || g.Moves != tc.moves || int64(len(g.Missed)) != tc.missing {
			t.Errorf("%s: %+v", tc.name, g)
		}
	}
}

// TestLedgerOrdersByTime: lines of two processes arrive in another order than they were written.
func TestLedgerOrdersByTime(t *testing.T) {
	l := newLedger(1, true)
	l.add(delivery{at: 3e9, member: 2, offset: 1})
	l.add(delivery{at: 2e9, member: 1, offset: 0})
	l.add(delivery{at: 4e9, member: 2, offset: 2})
	l.expect(0, 3)
	if g := l.judge(&stream{}); g.Skipped != 0 || g.Missing != 0 {
		t.Errorf("%+v", g)
	}
}

// TestLedgerOfManyCountsBits over the borders of words.
func TestLedgerOfManyCountsBits(t *testing.T) {
	l := newLedger(1, true)
	const n = 1000
	for i := range int64(n) {
		if i != 63 && i != 64 && i != 640 {
			l.add(delivery{at: i, offset: i})
		}
	}
	for _, tc := range []struct{ end, missing int64 }{{63, 0}, {64, 1}, {65, 2}, {640, 2}, {641, 3}, {n, 3}, {n + 100, 103}} {
		l.expect(0, tc.end)
		if got := l.missing(); got != tc.missing {
			t.Errorf("end %d: %d missing, want %d", tc.end, got, tc.missing)
		}
	}
}

func TestStrangeDeliveryIsEvidence(t *testing.T) {
	l := newLedger(2, false)
	l.add(delivery{queue: 2, offset: 0})
	l.add(delivery{queue: 0, offset: -1})
	if g := l.judge(&stream{}); g.Skipped != 2 {
		t.Errorf("%+v", g)
	}
}
