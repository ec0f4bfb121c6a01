package loadgen

// freeSlots holds the slots without an operation: a stack for each connection, so that connections take turns and yet
// the slots in use are few and warm, however many there are. The turn is a batch: what is due at one instant goes out with
// one write on one connection, as long as it has slots.
type freeSlots struct {
	stacks [][]uint32
	next   int // connection whose turn it is
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

// pop returns a slot of the connection whose turn it is, or of the next that has one; n must not be 0.
func (f *freeSlots) pop() uint32 {
	for len(f.stacks[f.next]) == 0 {
		f.turn()
	}
	stack := &f.stacks[f.next]
	top := len(*stack) - 1
	slot := (*stack)[top]
	*stack = (*stack)[:top]
	f.n--
	return slot
}

// turn goes on to the next connection.
func (f *freeSlots) turn() {
	if f.next++; f.next == len(f.stacks) {
		f.next = 0
	}
}
