package checker_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/checker"
	"holdfast/checker/anomaly"
	"holdfast/checker/history"
)

// FuzzCheck judges anything that is a history: it ends, and the result holds together.
func FuzzCheck(f *testing.F) {
	fixtures, err := filepath.Glob("testdata/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range fixtures {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := history.ReadLines("fuzz", bytes.NewReader(text))
		if err != nil {
			return
		}
		r := checker.Check(h)
		holdsTogether(t, r)
	})
}

// holdsTogether checks what is true of every result.
func holdsTogether(t interface{ Errorf(string, ...any) }, r checker.Result) {
	shown := map[string]bool{}
	for _, finding := range r.Findings {
		shown[finding.Anomaly] = true
	}
	for name, n := range r.Anomalies {
		if n <= 0 || !shown[name] {
			t.Errorf("%s: %d, shown: %v", name, n, shown[name])
		}
	}
	lost, acked := int64(0), int64(0)
	for status, n := range r.Acked {
		acked += n
		lost += r.Lost[status]
		if r.Lost[status] > n {
			t.Errorf("%d of %d acknowledged with %s are lost", r.Lost[status], n, status)
		}
	}
	kinds := r.Anomalies[anomaly.LostSuffix] + r.Anomalies[anomaly.LostPrefix] + r.Anomalies[anomaly.LostMiddle]
	if r.Anomalies[anomaly.LostWrite] != lost || kinds != lost {
		t.Errorf("lost %d, as anomalies %d, by kind %d", lost, r.Anomalies[anomaly.LostWrite], kinds)
	}
	if r.Verdict == checker.Kept && (lost > 0 || acked == 0 || r.Linearizable != checker.Valid) {
		t.Errorf("kept, with %d of %d lost, %s", lost, acked, r.Linearizable)
	}
	if r.Linearizable == checker.Invalid && r.Verdict != checker.Violated && r.Anomalies[anomaly.Divergence] == 0 {
		t.Errorf("invalid, but %s", r.Verdict)
	}
}

// TestRandomHistories judges histories in which everything may clash with everything: few values, offsets, queues,
// nodes, and every kind of line.
func TestRandomHistories(t *testing.T) {
	verdicts := map[checker.Verdict]int{}
	for seed := range uint64(500) {
		text := clashing(rand.New(rand.NewPCG(seed, 3)))
		h, err := history.ReadLines("random", strings.NewReader(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		r := checker.Check(h)
		verdicts[r.Verdict]++
		holdsTogether(t, r)
		if t.Failed() {
			t.Fatalf("seed %d: %s\n%s", seed, r.Text(), text)
		}
	}
	if len(verdicts) < 2 {
		t.Errorf("verdicts %v: some never come", verdicts)
	}
}

// clashing returns a random history.
func clashing(rng *rand.Rand) string {
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	header := pick(async, asyncSync, sync2, sync49, holdfast2, copies2, linearReads, `"x":1`)
	if rng.IntN(5) == 0 {
		header += `,"sparse":true`
	}
	if rng.IntN(5) == 0 {
		header += `,"base":{"a/T/0":2}`
	}
	var b strings.Builder
	queue := func() string { return pick("a/T/0", "a/T/0", "a/T/1", "b/T/0") }
	msgs := func() (out string) {
		o := rng.IntN(3)
		for range rng.IntN(4) {
			out += fmt.Sprintf(" %d:%s", o, pick("1", "2", "3", "4", "5", "6", "x"))
			o += 1 + rng.IntN(5)/4
		}
		return out
	}
	at := 10
	for range 3 + rng.IntN(14) {
		at += rng.IntN(20)
		end := at + 1 + rng.IntN(40)
		switch rng.IntN(12) {
		case 0, 1, 2, 3:
			fmt.Fprintf(&b, "%d-%d send %d %s@%d %s p=%d retry=%d\n", at, end, 1+rng.IntN(6), queue(), rng.IntN(4),
				pick("SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "PUBACK"), rng.IntN(3), rng.IntN(2))
		case 4, 5:
			fmt.Fprintf(&b, "%d-%s %s %d %s\n", at, pick("", fmt.Sprint(end)), pick("info", "info", "fail"), 1+rng.IntN(6), pick("", queue()))
		case 6, 7:
			fmt.Fprintf(&b, "%d-%d poll %s from=%d%s end=%d group=%s p=%d %s\n", at, end, queue(), rng.IntN(4), msgs(), rng.IntN(6), pick("g", "h"), rng.IntN(3),
				pick("", "node=a-1", "filter=true"))
		case 8:
			fmt.Fprintf(&b, "%d-%d read %s %s from=0%s end=%d first=%d\n", at, end, pick("a-0", "a-1"), queue(), msgs(), rng.IntN(6), rng.IntN(2))
		case 9:
			fmt.Fprintf(&b, "%d role a %s %s\n", at, pick("a-0", "a-1"), pick("master", "slave"))
		case 10:
			fmt.Fprintf(&b, "%d caught-up a %s\n", at, pick("a-0", "a-1"))
		case 11:
			fmt.Fprintf(&b, "%d,%d,%d,%d %s %s processes=1 files=1\n", at, at+2, at+9, at+12, pick("kill", "power", "disk-lost"), pick("a-0", "a-1", "a-0,a-1"))
		}
	}
	if rng.IntN(3) > 0 {
		for _, node := range []string{"a-0", "a-1"} {
			for _, q := range []string{"a/T/0", "a/T/1"} {
				fmt.Fprintf(&b, "final %s %s%s end=%d\n", node, q, msgs(), rng.IntN(6))
			}
		}
	}
	return script(header, b.String())
}
