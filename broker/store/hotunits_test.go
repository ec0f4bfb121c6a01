package store

import (
	"testing"

	"pgregory.net/rapid"
)

// TestHotUnitsAgainstSlice holds the units of two queues, which share pages, against slices, and a view of them against what was there
// when it was taken.
func TestHotUnitsAgainstSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := pageShiftOf(rapid.SampledFrom([]int{1, 40, 100}).Draw(t, "hot"))
		var x index
		type queue struct {
			hot  hotUnits
			from int64
			want []unit
		}
		queues := [2]queue{}
		for i := range queues {
			q := &queues[i]
			q.from = int64(rapid.IntRange(0, 100).Draw(t, "from"))
			q.hot = hotUnits{min: q.from, shift: shift}
		}
		next := int64(1)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			q := &queues[rapid.IntRange(0, 1).Draw(t, "queue")]
			end := q.from + int64(len(q.want))
			switch rapid.SampledFrom([]string{"put", "put", "forget", "cut", "view"}).Draw(t, "do") {
			case "put":
				tagged := rapid.Bool().Draw(t, "tagged")
				for range rapid.IntRange(1, 40).Draw(t, "units") {
					u := unit{phys: next, size: int32(next) + 7}
					if tagged {
						u.tags = -next
					}
					x.put(&q.hot, q.from+int64(len(q.want)), u)
					q.want, next = append(q.want, u), next+1
				}
			case "forget":
				keep := rapid.Int64Range(q.from, end).Draw(t, "keep")
				x.forget(&q.hot, keep)
				if q.hot.min < q.from || q.hot.min > keep || keep-q.hot.min >= 1<<shift {
					t.Fatalf("units from %d on are kept, of [%d, %d), where those below %d are to be forgotten and a page has %d", q.hot.min, q.from, end, keep, 1<<shift)
				}
				q.want, q.from = q.want[q.hot.min-q.from:], q.hot.min
			case "cut":
				to := rapid.Int64Range(q.from, end).Draw(t, "to")
				q.hot.cut(to)
				q.want = q.want[:to-q.from]
			case "view":
				if len(q.want) == 0 {
					continue
				}
				from := rapid.Int64Range(q.from, end-1).Draw(t, "viewed")
				var pages []unitPage
				v := q.hot.view(from, end, &pages)
				for range 1 << shift { // what comes later must not be seen in it
					x.put(&q.hot, q.from+int64(len(q.want)), unit{phys: next, tags: 1})
					q.want, next = append(q.want, unit{phys: next, tags: 1}), next+1
				}
				for o := from; o < end; o++ {
					if got, want := v.at(o), q.want[o-q.from]; got != want {
						t.Fatalf("view at %d: got %+v, want %+v", o, got, want)
					}
				}
			}
			for i := range queues {
				q := &queues[i]
				for k, want := range q.want {
					if got := q.hot.at(q.from + int64(k)); got != want {
						t.Fatalf("queue %d at %d: got %+v, want %+v", i, q.from+int64(k), got, want)
					}
				}
			}
		}
	})
}

// TestUnitsReusePages holds that a queue whose units are written allocates nothing for further ones.
func TestUnitsReusePages(t *testing.T) {
	var x index
	h := hotUnits{shift: pageShiftOf(1024)}
	next := int64(0)
	put := func() {
		for range 3000 {
			x.put(&h, next, unit{phys: next, tags: 1})
			next++
		}
		x.forget(&h, next-1024)
	}
	put()
	put()
	if n := testing.AllocsPerRun(20, put); n > 0 {
		t.Errorf("%v allocations for 3000 units", n)
	}
}
