package loadgen

// freeSlots holds the slots without an operation: a stack for each connection, so that connections take turns and yet
// the slots in use are few and warm, however many there are.
type freeSlots struct {
	stacks [][]uint32
	next   int // stack whose turn it is
	n      int // slots in all stacks
}

// newFreeSlots returns all of slots slots; slot i belongs to lane i mod lanes.
func newFreeSlots(slots, lanes int) freeSlots {
	f := freeSlots{stacks: make([][]uint32, lanes)}
	for lane := range f.stacks {
		f.stacks[lane] = make([]uint32, 0, (slots+lanes-1)/lanes)
	}
	for i := slots - 1; i >= 0; i-- {
		f.push(uint32(i))
	}
	return f
}

func (f *freeSlots) push(slot uint32) {
	lane := int(slot) % len(f.stacks)
	f.stacks[lane] = append(f.stacks[lane], slot)
	f.n++
}

// pop returns a slot of the next connection that has one; n must not be 0.
func (f *freeSlots) pop() uint32 {
	for {
		stack := &f.stacks[f.next]
		if f.next++; f.next == len(f.stacks) {
			f.next = 0
		}
		if top := len(*stack) - 1; top >= 0 {
			slot := (*stack)[top]
			*stack = (*stack)[:top]
			f.n--
			return slot
		}
	}
}
