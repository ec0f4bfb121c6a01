package evidence

import "holdfast/checker/history"

// values finds the sends of a value. Most values are sent once.
type values struct {
	sends  []history.SendOp
	direct []uint32 // by value: 1 + index of its first send; nil when values are too large
	slots  []uint32 // else a hash table of the same
	shift  uint
	again  map[uint32][]uint32 // first send -> all later ones of its value
}

func newValues(sends []history.SendOp) *values {
	v := &values{sends: sends, again: map[uint32][]uint32{}}
	most := uint64(0)
	for i := range sends {
		most = max(most, sends[i].Value)
	}
	if most < 4*uint64(len(sends))+1024 {
		v.direct = make([]uint32, most+1)
	} else {
		size := 1 << 10
		for size*3 < len(sends)*4 {
			size *= 2
		}
		v.slots = make([]uint32, size)
		v.shift = 64
		for s := size >> 3; s > 1; s >>= 1 {
			v.shift--
		}
	}
	for i := range sends {
		slot := v.slot(sends[i].Value)
		if *slot == 0 {
			*slot = uint32(i) + 1
		} else {
			v.again[*slot-1] = append(v.again[*slot-1], uint32(i))
		}
	}
	return v
}

// slot returns where the value is, or belongs. Values near each other are near each other: they are sent so.
func (v *values) slot(value uint64) *uint32 {
	if v.direct != nil {
		return &v.direct[value]
	}
	mask := len(v.slots) - 1
	for i := int((value>>3)*0x9e3779b97f4a7c15>>v.shift)<<3 | int(value&7); ; i = (i + 1) & mask {
		if s := &v.slots[i]; *s == 0 || v.sends[*s-1].Value == value {
			return s
		}
	}
}

// first returns the first send of a value.
func (v *values) first(value uint64) (uint32, bool) {
	if v.direct != nil && value >= uint64(len(v.direct)) {
		return 0, false
	}
	s := *v.slot(value)
	return s - 1, s != 0
}
