package history

// Msgs are the messages of one answer, as delivered. They belong to the history.
type Msgs struct {
	values  []uint64
	offsets []int64 // nil: from first on without a gap
	first   int64
	corrupt []bool // nil: none
}

// Len returns the number of messages.
func (m Msgs) Len() int { return len(m.values) }

// Offset returns the queue offset of message i.
func (m Msgs) Offset(i int) int64 {
	if m.offsets == nil {
		return m.first + int64(i)
	}
	return m.offsets[i]
}

// Value returns the value of message i; it means nothing when the message is corrupt.
func (m Msgs) Value(i int) uint64 { return m.values[i] }

// Corrupt says that the checksum of message i failed.
func (m Msgs) Corrupt(i int) bool { return m.corrupt != nil && m.corrupt[i] }

// Dense says that the offsets go up by one from the first message to the last.
func (m Msgs) Dense() bool { return m.offsets == nil }

// msgRange says where the messages of an answer lie in an arena.
type msgRange struct {
	first int64  // offset of the first message
	chunk uint32 // of values
	from  uint32 // within the chunk
	n     uint32
	extra uint32 // 1 + index of the exceptions; 0: dense, none corrupt
}

// msgExtra holds what few answers have.
type msgExtra struct {
	offsets []int64
	corrupt []bool
}

// msgArena holds the values of all answers in few large pieces without pointers.
type msgArena struct {
	chunks [][]uint64
	extras []msgExtra
}

// The first chunk of an arena has arenaFirst values, each further one twice as many, up to 1 Mi bytes.
const (
	arenaFirst   = 1 << 10
	arenaDoubles = 7
)

// add copies msgs into the arena.
func (a *msgArena) add(msgs []Msg) msgRange {
	if len(msgs) == 0 {
		return msgRange{}
	}
	last := len(a.chunks) - 1
	if last < 0 || cap(a.chunks[last])-len(a.chunks[last]) < len(msgs) {
		a.chunks = append(a.chunks, make([]uint64, 0, max(arenaFirst<<min(last+1, arenaDoubles), len(msgs))))
		last++
	}
	c := a.chunks[last]
	r := msgRange{first: msgs[0].Offset, chunk: uint32(last), from: uint32(len(c)), n: uint32(len(msgs))}
	dense, sound := true, true
	for i, m := range msgs {
		c = append(c, m.Value)
		dense = dense && m.Offset == r.first+int64(i)
		sound = sound && !m.Corrupt
	}
	a.chunks[last] = c
	if dense && sound {
		return r
	}
	var x msgExtra
	if !dense {
		x.offsets = make([]int64, len(msgs))
	}
	if !sound {
		x.corrupt = make([]bool, len(msgs))
	}
	for i, m := range msgs {
		if !dense {
			x.offsets[i] = m.Offset
		}
		if !sound {
			x.corrupt[i] = m.Corrupt
		}
	}
	a.extras = append(a.extras, x)
	r.extra = uint32(len(a.extras))
	return r
}

// get returns the messages at r.
func (a *msgArena) get(r msgRange) Msgs {
	if r.n == 0 {
		return Msgs{}
	}
	m := Msgs{values: a.chunks[r.chunk][r.from : r.from+r.n], first: r.first}
	if r.extra != 0 {
		m.offsets, m.corrupt = a.extras[r.extra-1].offsets, a.extras[r.extra-1].corrupt
	}
	return m
}
