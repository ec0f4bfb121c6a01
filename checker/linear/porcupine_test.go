package linear_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// logModel is a log of one queue. The state is its values. An append whose offset is not known fits anywhere.
var logModel = porcupine.Model{
	Init: func() any { return []int(nil) },
	Step: func(state, input, output any) (bool, any) {
		log, o := state.([]int), input.(testOp)
		switch {
		case !o.send:
			return shows(item{op: o}, log), log
		case o.unknown || o.offset == len(log):
			return true, append(slices.Clone(log), o.value)
		}
		return false, log
	},
	Equal: func(a, b any) bool { return slices.Equal(a.([]int), b.([]int)) },
}

// TestAgreesWithPorcupine compares with another checker on histories of one queue and epoch whose polls all saw the
// end: the ones that it can express. An append of unknown outcome may have happened at any time, also after the end.
func TestAgreesWithPorcupine(t *testing.T) {
	invalid, total := 0, 0
	for seed := range uint64(20 * rounds(t)) {
		r := random(rand.New(rand.NewPCG(seed, 77)), 1, 1, true)
		var ops []porcupine.Operation
		seen := false
		for i, o := range r.ops {
			o := o
			if !o.send && o.end < 0 || o.send && r.copies(o.value) > 1 {
				seen = true // not expressible
				break
			}
			ret := o.ret
			if o.unknown {
				ret = math.MaxInt64
			}
			ops = append(ops, porcupine.Operation{ClientId: i, Input: o, Call: o.inv, Return: ret})
		}
		if seen {
			continue
		}
		total++
		want := porcupine.CheckOperations(logModel, ops)
		if !want {
			invalid++
		}
		if got, findings := r.valid(t); got != want {
			t.Fatalf("seed %d: got valid=%v, porcupine says %v; %s\n%s", seed, got, want, findings, r.lines())
		}
	}
	if total == 0 || invalid < total/10 || invalid > total*9/10 {
		t.Errorf("%d of %d histories are invalid: the test says little", invalid, total)
	}
}
