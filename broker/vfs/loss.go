package vfs

import (
	"math/rand/v2"
	"time"
)

// NamesModel says when the names of files are durable.
type NamesModel uint8

const (
	// Ext4: a successful Sync of a file makes its own creation durable too (with the directories above it), a file
	// renamed over another has its contents flushed, every other change of a name needs SyncDir or NamesCommit.
	Ext4 NamesModel = iota
	// Posix: every change of a name needs SyncDir of its directory; a rename from one to another is whole with either.
	Posix
)

// NamesCommit is the age at which ext4 has committed a change of a name by itself.
const NamesCommit = 5 * time.Second

// Page is the unit (bytes) in which a kernel keeps and writes back the contents of files; Sector the unit that a disk
// writes as a whole.
const (
	Page   = 4096
	Sector = 512
)

// Loss is a model of what a power cut leaves. The zero value is the worst case: nothing that no sync covered.
type Loss struct {
	KeepPercent int           // share of dirty granules that survive by luck, 0..100
	Granule     int           // bytes that live or die together; 0 is Page
	Tear        bool          // a granule may survive up to a sector boundary only
	Reorder     bool          // survivors are any subset; else what became dirty first survives first
	Garble      bool          // one in eight lost granules comes back with garbage where it was changed; see Extent
	Names       NamesModel    // when names are durable
	Writeback   time.Duration // what was dirty for this long had been written back by the kernel and survives; 0 is never
}

// Extent is a dirty range [Off, Off+Len) of a file: written, and covered by no successful sync.
type Extent struct {
	Name     string
	Off, Len int64
	Since    time.Duration // how long it had been dirty at the instant of the cut
	Garbled  bool          // out of Survivors only: those of these bytes that were changed come back as garbage
}

// Survivors returns what of the dirty extents (the one that became dirty first comes first) a power cut leaves under
// loss: pieces cut at granules and sectors, in the order of dirty. What it leaves out has its contents of the last
// successful sync. The same rng state, extents and loss give the same result.
func Survivors(rng *rand.Rand, dirty []Extent, loss Loss) []Extent {
	granule := int64(loss.Granule)
	if granule <= 0 {
		granule = Page
	}
	var young, out []Extent
	for _, e := range dirty {
		if loss.Writeback > 0 && e.Since >= loss.Writeback {
			out = append(out, e)
			continue
		}
		for off, end := e.Off, e.Off+e.Len; off < end; {
			next := min(end, (off/granule+1)*granule)
			piece := e
			piece.Off, piece.Len = off, next-off
			young = append(young, piece)
			off = next
		}
	}
	kept := prefix(rng, len(young), loss.KeepPercent)
	for i, e := range young {
		keep := i < kept
		if loss.Reorder {
			keep = rng.IntN(100) < loss.KeepPercent
		}
		switch {
		case keep && loss.Tear && (loss.Reorder && rng.IntN(4) == 0 || !loss.Reorder && i == kept-1):
			out = appendTorn(out, rng, e)
		case keep:
			out = append(out, e)
		case loss.Garble && rng.IntN(8) == 0:
			e.Garbled = true
			out = append(out, e)
		}
	}
	return out
}

// prefix draws how many of n things survive when they survive in order: on average percent of them, as spread as that
// average allows.
func prefix(rng *rand.Rand, n, percent int) int {
	lo, hi := 0, n*2*percent/100
	if percent > 50 {
		lo, hi = n*(2*percent-100)/100, n
	}
	return lo + rng.IntN(hi-lo+1)
}

// appendTorn appends what is left of e when the power fails while its granule is being written: it ends at a sector
// boundary inside. What lies within one sector is not torn.
func appendTorn(out []Extent, rng *rand.Rand, e Extent) []Extent {
	first := e.Off/Sector + 1
	last := (e.Off + e.Len - 1) / Sector
	if last < first {
		return append(out, e)
	}
	e.Len = (first+rng.Int64N(last-first+1))*Sector - e.Off
	return append(out, e)
}

// SurvivingNames returns how many of the pending changes of names, the oldest first, a power cut leaves: ages are how
// long ago each was made. A file system commits them in order, so that what survives is a prefix.
func SurvivingNames(rng *rand.Rand, ages []time.Duration, loss Loss) int {
	n := 0
	for n < len(ages) && loss.Names == Ext4 && ages[n] >= NamesCommit {
		n++
	}
	return n + prefix(rng, len(ages)-n, loss.KeepPercent)
}
