package store

// hotUnits is what a queue has of its units in memory, in pages: they hold as much as has to be there, however long a sync takes, and
// what is forgotten of one queue serves the next.
type hotUnits struct {
	min   int64 // queue offset of the first unit; of the next one when there is none
	shift uint8 // a page has 1<<shift units
	pages []unitPage
}

// unitPage is units one behind the other, column by column: most have no tag. The first page of a queue grows to its size; the others
// begin with it. Slots of units that no AuxJob has written are never overwritten: it reads them without the lock.
type unitPage struct {
	phys []int64
	size []int32
	tags []int64 // nil: all are 0
}

const (
	unitsFirst = 16 // of a queue's first page, at first
	pageShift  = 9  // of pages, where HotUnits allows it
	spareMax   = 64 // at most so many pages are kept to be used again
)

// pageShiftOf returns the size of pages where so many units are to be kept: two pages, at most, but for a small page.
func pageShiftOf(hot int) (shift uint8) {
	for shift = 3; shift < pageShift && 2<<shift < hot; shift++ {
	}
	return shift
}

// at returns the unit at queue offset o, which is in memory.
func (h *hotUnits) at(o int64) unit {
	i := o - h.min
	p, i := &h.pages[i>>h.shift], i&(1<<h.shift-1)
	u := unit{phys: p.phys[i], size: p.size[i]}
	if p.tags != nil {
		u.tags = p.tags[i]
	}
	return u
}

// put sets the unit at queue offset o, the next one.
func (x *index) put(h *hotUnits, o int64, u unit) {
	i := o - h.min
	n, i := int(i>>h.shift), i&(1<<h.shift-1)
	if n == len(h.pages) {
		h.pages = append(h.pages, x.newPage(h))
	}
	p := &h.pages[n]
	if int(i) == len(p.phys) {
		p.grow()
	}
	p.phys[i], p.size[i] = u.phys, u.size
	if p.tags == nil && u.tags != 0 {
		p.tags = make([]int64, len(p.phys))
	}
	if p.tags != nil {
		p.tags[i] = u.tags
	}
}

// newPage returns an empty page: a small one for a queue that has none.
func (x *index) newPage(h *hotUnits) unitPage {
	if len(h.pages) == 0 {
		n := min(unitsFirst, 1<<h.shift)
		return unitPage{phys: make([]int64, n), size: make([]int32, n)}
	}
	if n := len(x.sparePages); n > 0 {
		p := x.sparePages[n-1]
		x.sparePages = x.sparePages[:n-1]
		return p
	}
	return unitPage{phys: make([]int64, 1<<h.shift), size: make([]int32, 1<<h.shift)}
}

func (p *unitPage) grow() {
	p.phys, p.size = append(p.phys, make([]int64, len(p.phys))...), append(p.size, make([]int32, len(p.size))...)
	if p.tags != nil {
		p.tags = append(p.tags, make([]int64, len(p.tags))...)
	}
}

// forget drops the pages that lie wholly below queue offset keep.
func (x *index) forget(h *hotUnits, keep int64) {
	n := 0
	for ; n < len(h.pages) && h.min+1<<h.shift <= keep; n++ {
		if p := h.pages[n]; len(p.phys) == 1<<h.shift && len(x.sparePages) < spareMax {
			x.sparePages = append(x.sparePages, p)
		}
		h.min += 1 << h.shift
	}
	if n > 0 {
		m := copy(h.pages, h.pages[n:])
		clear(h.pages[m:])
		h.pages = h.pages[:m]
	}
}

// restart has the units begin at queue offset o, with none in memory.
func (h *hotUnits) restart(o int64) { h.min, h.pages = o, nil }

// cut forgets what lies at and behind queue offset o.
func (h *hotUnits) cut(o int64) {
	if o <= h.min {
		h.restart(o)
		return
	}
	n := int((o-1-h.min)>>h.shift) + 1
	clear(h.pages[n:])
	h.pages = h.pages[:n]
}

// view returns h as it is now, for an AuxJob that reads the units [from, to) without the lock. Its pages are appended to *pages.
func (h *hotUnits) view(from, to int64, pages *[]unitPage) hotUnits {
	first, last := (from-h.min)>>h.shift, (to-1-h.min)>>h.shift
	n := len(*pages)
	*pages = append(*pages, h.pages[first:last+1]...)
	return hotUnits{min: h.min + first<<h.shift, shift: h.shift, pages: (*pages)[n:]}
}
