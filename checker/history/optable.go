package history

// References from operation numbers to operations: the kind above the index.
const (
	refIndex  = 1<<29 - 1
	refSend   = 1 << 29
	refFetch  = 2 << 29
	refCommit = 3 << 29
	refOther  = 4 << 29 // the index is of opTable.others
)

// opTable finds operations by number. Numbers that go up one by one, of each value of their upper bits, are found in an
// array; others in a hash table, in which numbers near each other share cache lines.
type opTable struct {
	runs   map[uint64]*[]uint32 // upper bits -> by lower bits
	upper  uint64               // of run
	run    *[]uint32
	slots  []uint32 // 0: empty
	n      int
	shift  uint
	others []uint64
}

// runBits are the lower bits of a number: Shard.NextOp counts in them.
const runBits = 40

// runOf returns the array for op, or nil.
func (t *opTable) runOf(op uint64) *[]uint32 {
	if upper := op >> runBits; t.run == nil || t.upper != upper {
		t.run, t.upper = t.runs[upper], upper
	}
	return t.run
}

func (t *opTable) home(op uint64) int {
	return int((op>>3)*0x9e3779b97f4a7c15>>t.shift)<<3 | int(op&7)
}

func (t *opTable) get(b *builder, op uint64) (uint32, bool) {
	if run := t.runOf(op); run != nil {
		if n := op & (1<<runBits - 1); n < uint64(len(*run)) && (*run)[n] != 0 {
			return (*run)[n], true
		}
	}
	if t.slots == nil {
		return 0, false
	}
	mask := len(t.slots) - 1
	for i := t.home(op); ; i = (i + 1) & mask {
		ref := t.slots[i]
		if ref == 0 {
			return 0, false
		}
		if t.key(b, ref) == op {
			return ref, true
		}
	}
}

func (t *opTable) key(b *builder, ref uint32) uint64 {
	i := ref & refIndex
	switch ref &^ refIndex {
	case refSend:
		return b.h.Sends[i].Op
	case refFetch:
		return b.h.Fetches[i].Op
	case refCommit:
		return b.h.Commits[i].Op
	}
	return t.others[i]
}

// put adds the operation op, which is not there, before the operation itself is appended.
func (t *opTable) put(b *builder, op uint64, ref uint32) {
	if ref == refOther {
		ref |= uint32(len(t.others))
		t.others = append(t.others, op)
	}
	run := t.runOf(op)
	if run == nil && len(t.runs) < runsMax {
		if t.runs == nil {
			t.runs = map[uint64]*[]uint32{}
		}
		run = new([]uint32)
		t.runs[op>>runBits], t.run = run, run
	}
	if n := op & (1<<runBits - 1); run != nil && n < uint64(len(*run))+runGap {
		for uint64(len(*run)) <= n {
			*run = append(*run, 0)
		}
		(*run)[n] = ref
		return
	}
	if t.n*4 >= len(t.slots)*3 {
		t.grow(b, max(2*len(t.slots), 1<<10))
	}
	t.insert(op, ref)
	t.n++
}

// runGap is how far a number may be ahead of its run; runsMax bounds the runs: what is no run costs little.
const (
	runGap  = 256
	runsMax = 1 << 14
)

func (t *opTable) insert(op uint64, ref uint32) {
	mask := len(t.slots) - 1
	i := t.home(op)
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = ref
}

// grow gives the table size slots, a power of two.
func (t *opTable) grow(b *builder, size int) {
	old := t.slots
	t.slots = make([]uint32, size)
	t.shift = 64
	for s := size >> 3; s > 1; s >>= 1 {
		t.shift--
	}
	for _, ref := range old {
		if ref != 0 {
			t.insert(t.key(b, ref), ref)
		}
	}
}
