package linear_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/checker/evidence"
	"holdfast/checker/history"
	"holdfast/checker/linear"
	"holdfast/checker/order"
)

// testOp is an operation of a small random history.
type testOp struct {
	send     bool
	queue    int
	named    bool // an unknown send names its queue
	value    int
	offset   int
	inv, ret int64
	unknown  bool
	from     int
	msgs     [][2]int
	end      int // -1: not seen
	client   int
}

// testRun is a small random history.
type testRun struct {
	ops    []testOp
	bounds []int64
	queues int
	lin    bool
}

// random simulates clients of a log, with crashes that cut it, and then breaks the history, sometimes.
func random(rng *rand.Rand, epochs, queues int, lin bool) testRun {
	r := testRun{queues: queues, lin: lin}
	logs := make([][]int, queues)
	shadow := make([][][]int, queues) // states of this epoch, for stale reads
	for q := range shadow {
		shadow[q] = [][]int{nil}
	}
	t := int64(100)
	n := 3 + rng.IntN(5)
	crashAt := map[int]bool{}
	for len(crashAt) < epochs-1 {
		crashAt[1+rng.IntN(n-1)] = true
	}
	for i := range n {
		if crashAt[i] {
			t += 60
			r.bounds = append(r.bounds, t)
			t += 60
			for q := range logs {
				logs[q] = logs[q][:rng.IntN(len(logs[q])+1)]
				shadow[q] = [][]int{slices.Clone(logs[q])}
			}
		}
		t += 10
		o := testOp{queue: rng.IntN(queues), inv: t - int64(rng.IntN(40)), ret: t + int64(rng.IntN(40)), client: i, end: -1}
		q := o.queue
		if rng.IntN(5) < 3 {
			o.send, o.value, o.offset = true, i+1, len(logs[q])
			if rng.IntN(3) == 0 {
				o.unknown, o.named = true, rng.IntN(2) == 0
			}
			if rng.IntN(8) == 0 {
				o.ret += 120 // may span a boundary
			}
			if !o.unknown || rng.IntN(2) == 0 {
				logs[q] = append(slices.Clone(logs[q]), o.value)
				shadow[q] = append(shadow[q], logs[q])
			}
		} else {
			log := logs[q]
			if !lin && rng.IntN(3) == 0 {
				log = shadow[q][rng.IntN(len(shadow[q]))]
			}
			o.from = rng.IntN(len(log) + 1)
			for k := o.from; k < len(log) && k < o.from+1+rng.IntN(4); k++ {
				o.msgs = append(o.msgs, [2]int{k, log[k]})
			}
			if rng.IntN(3) > 0 {
				o.end = len(log)
			}
		}
		r.ops = append(r.ops, o)
	}
	if rng.IntN(4) > 0 {
		r.damage(rng)
	}
	r.tidy()
	return r
}

// damage changes something small.
func (r *testRun) damage(rng *rand.Rand) {
	for range 1 + rng.IntN(4) {
		o := &r.ops[rng.IntN(len(r.ops))]
		switch rng.IntN(6) {
		case 0:
			p := &r.ops[rng.IntN(len(r.ops))]
			if o.send && p.send {
				o.offset, p.offset = p.offset, o.offset
			}
		case 1:
			d := int64(rng.IntN(160) - 80)
			o.inv, o.ret = o.inv+d, o.ret+d
		case 2:
			o.offset = max(0, o.offset+rng.IntN(3)-1)
		case 3:
			if o.end >= 0 {
				o.end = max(o.from+len(o.msgs), o.end+rng.IntN(4)-1)
			}
		case 4:
			if n := len(o.msgs); n > 0 {
				o.msgs[rng.IntN(n)][1] = 1 + rng.IntN(len(r.ops))
			}
		case 5:
			o.ret = min(o.ret, o.inv+1+int64(rng.IntN(10)))
		}
	}
}

// tidy makes all instants different, and keeps polls within an epoch, so that the oracle needs no rule for those that
// span a boundary.
func (r *testRun) tidy() {
	for i := range r.ops {
		o := &r.ops[i]
		o.inv = max(1, o.inv)
		o.ret = max(o.ret, o.inv+1)
		if !o.send {
			for _, b := range r.bounds {
				if o.inv == b {
					o.inv, o.ret = b+1, max(o.ret, b+2)
				}
				if o.inv < b && b <= o.ret {
					o.ret = max(o.inv+1, b-1)
					o.inv = min(o.inv, o.ret-1)
				}
			}
		}
		// Instants of different operations never collide: each has its own remainder.
		o.inv = o.inv*32 + int64(i)
		o.ret = o.ret*32 + int64(i)
	}
	for i := range r.bounds {
		r.bounds[i] = r.bounds[i]*32 + 31
	}
}

// lines is the JSON Lines form.
func (r *testRun) lines() []byte {
	type line struct {
		t    int64
		text string
	}
	var all []line
	for i, o := range r.ops {
		q := fmt.Sprintf(`"queue":"a/T/%d"`, o.queue)
		head := func(t int64, typ, f string) string {
			return fmt.Sprintf(`{"t":%d,"op":%d,"p":%d,"type":"%s","f":"%s"`, t, i+1, o.client, typ, f)
		}
		switch {
		case o.send && o.unknown:
			name := ""
			if o.named {
				name = "," + q
			}
			all = append(all, line{o.inv, head(o.inv, "invoke", "send") + fmt.Sprintf(`,"value":%d%s}`, o.value, name)})
		case o.send:
			all = append(all, line{o.inv, head(o.inv, "invoke", "send") + fmt.Sprintf(`,"value":%d}`, o.value)},
				line{o.ret, head(o.ret, "ok", "send") + fmt.Sprintf(`,"value":%d,%s,"offset":%d,"status":"SEND_OK"}`, o.value, q, o.offset)})
		default:
			msgs := strings.ReplaceAll(fmt.Sprint(o.msgs), " ", ",")
			if o.end >= 0 {
				msgs += fmt.Sprintf(`,"end":%d`, o.end)
			}
			all = append(all, line{o.inv, head(o.inv, "invoke", "poll") + fmt.Sprintf(`,%s,"from":%d}`, q, o.from)},
				line{o.ret, head(o.ret, "ok", "poll") + fmt.Sprintf(`,%s,"from":%d,"msgs":%s}`, q, o.from, msgs)})
		}
	}
	for k, b := range r.bounds {
		for i, phase := range []string{"start", "down", "restart"} {
			t := b - 2 + int64(i)
			all = append(all, line{t, fmt.Sprintf(`{"t":%d,"op":%d,"p":-1,"type":"info","f":"fault","name":"power","nodes":["a-0"],"phase":"%s"}`, t, 1000+k, phase)})
		}
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.t, b.t) })
	reads := ""
	if r.lin {
		reads = `"reads":"linearizable",`
	}
	out := bytes.NewBufferString(`{"history":1,` + reads + `"contract":"ASYNC_MASTER+ASYNC_FLUSH","masters":{"a":"a-0"}}` + "\n")
	for _, l := range all {
		out.WriteString(l.text + "\n")
	}
	return out.Bytes()
}

// item is an operation as the oracle places it.
type item struct {
	op       testOp
	inv, ret int64
	optional bool
	crash    bool
	prefix   bool
}

// explainable says by trying everything whether some order of the operations, with some of the unknown ones left out
// and something cut at each crash, explains the history.
func (r *testRun) explainable() bool {
	epoch := func(t int64) (from, to int64) {
		from, to = 0, math.MaxInt64
		for _, b := range r.bounds {
			if b <= t {
				from = b + 1
			} else if to == math.MaxInt64 {
				to = b
			}
		}
		return from, to
	}
	sent := map[int]int64{}
	for _, o := range r.ops {
		if o.send {
			sent[o.value] = o.inv
		}
	}
	var items []item
	for _, o := range r.ops {
		for _, m := range o.msgs { // whatever the epochs: nothing is returned before it is sent
			if o.ret < sent[m[1]] {
				return false
			}
		}
		from, to := epoch(o.inv)
		switch {
		case o.send && o.unknown: // each copy that was seen is an append of its own
			for range max(1, r.copies(o.value)) {
				items = append(items, item{op: o, inv: o.inv, ret: math.MaxInt64, optional: true})
			}
		case o.send && o.ret >= to: // spans a boundary: occupies its offset in any epoch that it reaches
			for range 1 + len(r.bounds) {
				items = append(items, item{op: o, inv: from, ret: math.MaxInt64, optional: true})
			}
		case o.send || r.lin && o.end >= 0:
			items = append(items, item{op: o, inv: o.inv, ret: o.ret})
		default: // a prefix read shows a part of any state of its epoch
			items = append(items, item{op: o, inv: from, ret: o.ret, prefix: true})
		}
	}
	for _, b := range r.bounds {
		items = append(items, item{inv: b, ret: b, crash: true})
	}
	return search(items, 0, make([][]int, r.queues), nil, map[string]bool{})
}

// copies returns at how many places a value was seen.
func (r *testRun) copies(value int) int {
	places := map[[2]int]bool{}
	for _, o := range r.ops {
		for _, m := range o.msgs {
			if m[1] == value {
				places[[2]int{o.queue, m[0]}] = true
			}
		}
	}
	return len(places)
}

// search goes on from logs; ends are the logs at the ends of the epochs before: a failover may serve any of them again.
func search(items []item, done uint, logs [][]int, ends [][][]int, seen map[string]bool) bool {
	key := fmt.Sprint(done, logs, ends)
	if seen[key] {
		return false
	}
	seen[key] = true
	left := false
	first := int64(math.MaxInt64)
	for i, it := range items {
		if done&(1<<i) == 0 && !it.optional {
			left = true
			first = min(first, it.ret)
		}
	}
	if !left {
		return true
	}
	for i, it := range items {
		if done&(1<<i) != 0 || it.inv > first {
			continue
		}
		next := done | 1<<i
		switch o := it.op; {
		case it.crash:
			for _, from := range append(slices.Clone(ends), logs) {
				if cut(items, next, from, append(slices.Clone(ends), logs), 0, seen) {
					return true
				}
			}
		case o.send:
			for q := range logs {
				if (!o.unknown || o.named) && q != o.queue || !o.unknown && len(logs[q]) != o.offset {
					continue
				}
				if search(items, next, with(logs, q, append(slices.Clone(logs[q]), o.value)), ends, seen) {
					return true
				}
			}
		case shows(it, logs[o.queue]):
			if search(items, next, logs, ends, seen) {
				return true
			}
		}
	}
	return false
}

// cut tries every length of every log from queue q on.
func cut(items []item, done uint, logs [][]int, ends [][][]int, q int, seen map[string]bool) bool {
	if q == len(logs) {
		return search(items, done, logs, ends, seen)
	}
	for n := range len(logs[q]) + 1 {
		if cut(items, done, with(logs, q, logs[q][:n]), ends, q+1, seen) {
			return true
		}
	}
	return false
}

func with(logs [][]int, q int, log []int) [][]int {
	out := slices.Clone(logs)
	out[q] = log
	return out
}

func shows(it item, log []int) bool {
	o := it.op
	if o.end > len(log) || o.end >= 0 && !it.prefix && o.end != len(log) {
		return false
	}
	for _, m := range o.msgs {
		if m[0] >= len(log) || log[m[0]] != m[1] {
			return false
		}
	}
	return true
}

// valid is what the checkers under test say.
func (r *testRun) valid(t *testing.T) (bool, string) {
	h, err := history.ReadLines("random", bytes.NewReader(r.lines()))
	if err != nil {
		t.Fatalf("%v\n%s", err, r.lines())
	}
	ev := evidence.Build(h)
	contents, times := order.Check(ev), linear.Check(ev)
	return len(contents.Invalid)+len(times.Invalid) == 0, fmt.Sprint(contents.Findings(9), times.Findings(9))
}

func TestAgreesWithBruteForce(t *testing.T) {
	invalid, total := 0, 0
	for _, epochs := range []int{1, 2, 3} {
		for _, queues := range []int{1, 2} {
			for _, lin := range []bool{false, true} {
				for seed := range uint64(rounds(t)) {
					r := random(rand.New(rand.NewPCG(seed, uint64(epochs*10+queues))), epochs, queues, lin)
					want := r.explainable()
					got, findings := r.valid(t)
					total++
					if !want {
						invalid++
					}
					if got != want {
						t.Fatalf("epochs %d queues %d linearizable reads %v seed %d: got valid=%v, want %v; %s\n%s", epochs, queues, lin, seed, got, want, findings, r.lines())
					}
				}
			}
		}
	}
	if invalid < total/10 || invalid > total*9/10 {
		t.Errorf("%d of %d histories are invalid: the test says little", invalid, total)
	}
}

// rounds is how many histories of each kind are compared: few by default, HOLDFAST_ROUNDS for a long search.
func rounds(t *testing.T) int {
	text := os.Getenv("HOLDFAST_ROUNDS")
	if text == "" {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
