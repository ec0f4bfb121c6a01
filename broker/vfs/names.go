package vfs

import (
	"math/rand/v2"
	"time"
)

// Place is a name in a directory; N is what a file system knows its files and directories by. The zero value is nowhere.
type Place[N comparable] struct {
	Dir  N
	Name string
}

// Change is one change of names: something appeared at To, or went from From, or moved from From to To and replaced what
// was there.
type Change[N comparable, D any] struct {
	From, To Place[N]
	Target   N             // what was made, removed or renamed
	Own      bool          // To is Target's first name: its creation
	Gone     N             // the directory that Target replaced, or a directory that was removed; zero: none
	At       time.Duration // when, by the clock that Survive is told
	Detail   D             // the file system's own
	durable  [2]bool       // by NamesModel
}

// Durable reports whether a power cut leaves the change, under a model.
func (c *Change[N, D]) Durable(model NamesModel) bool { return c.durable[model] }

func (c *Change[N, D]) touches(p Place[N]) bool {
	return p != (Place[N]{}) && (c.From == p || c.To == p)
}

func (c *Change[N, D]) within(dir N) bool {
	var none N
	return dir != none && (c.From.Dir == dir || c.To.Dir == dir)
}

// Names is the one model of which changes of names are durable, shared by Mem and the lossy disk under real processes.
// It keeps track under both models at once. A rename is one change: the sync of either directory makes all of it durable,
// as on every file system with a journal.
type Names[N comparable, D any] struct {
	Changes []*Change[N, D] // the oldest first
}

// Add appends a change.
func (j *Names[N, D]) Add(c Change[N, D]) { j.Changes = append(j.Changes, &c) }

// settle makes change i durable, and with it every earlier change that it rests on: of the same names, since a directory
// cannot hold the later without the earlier; of what a removed directory held; and under ext4, whose journal commits them
// together, of the directories above.
func (j *Names[N, D]) settle(model NamesModel, i int) {
	c := j.Changes[i]
	if c.durable[model] {
		return
	}
	c.durable[model] = true
	for k := i - 1; k >= 0; k-- {
		e := j.Changes[k]
		above := model == Ext4 && (e.Target == c.From.Dir || e.Target == c.To.Dir)
		if above || e.touches(c.From) || e.touches(c.To) || e.within(c.Gone) {
			j.settle(model, k)
		}
	}
}

// SyncedFile notes a successful fsync of a file: under ext4 its own creation is durable with it.
func (j *Names[N, D]) SyncedFile(n N) {
	for i, c := range j.Changes {
		if c.Own && c.Target == n {
			j.settle(Ext4, i)
		}
	}
}

// SyncedDir notes a successful fsync of a directory: every change of its names is durable, and under ext4 its own
// creation with it.
func (j *Names[N, D]) SyncedDir(dir N) {
	for i, c := range j.Changes {
		if c.within(dir) {
			j.settle(Posix, i)
			j.settle(Ext4, i)
		} else if c.Target == dir {
			j.settle(Ext4, i)
		}
	}
}

// Expire makes the changes durable that ext4 has committed by now by itself.
func (j *Names[N, D]) Expire(now time.Duration) {
	for i, c := range j.Changes {
		if now-c.At < NamesCommit {
			return
		}
		j.settle(Ext4, i)
	}
}

// Survive settles what a cut at now leaves: what has expired, and by luck the oldest of the rest.
func (j *Names[N, D]) Survive(rng *rand.Rand, loss Loss, now time.Duration) {
	j.Expire(now)
	var ages []time.Duration
	for _, c := range j.Changes {
		if !c.durable[loss.Names] {
			ages = append(ages, now-c.At)
		}
	}
	lucky := SurvivingNames(rng, ages, loss)
	for i := 0; i < len(j.Changes) && lucky > 0; i++ {
		if !j.Changes[i].durable[loss.Names] {
			lucky--
			j.settle(loss.Names, i)
		}
	}
}

// Drop removes the changes that are durable under model and calls settled with each, in order.
func (j *Names[N, D]) Drop(model NamesModel, settled func(*Change[N, D])) {
	kept := j.Changes[:0]
	var dropped []*Change[N, D]
	for _, c := range j.Changes {
		if c.durable[model] {
			dropped = append(dropped, c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(j.Changes[len(kept):])
	j.Changes = kept
	for _, c := range dropped {
		settled(c)
	}
}

// clone returns a copy that can be settled apart from j.
func (j *Names[N, D]) clone() Names[N, D] {
	changes := make([]*Change[N, D], len(j.Changes))
	for i, c := range j.Changes {
		own := *c
		changes[i] = &own
	}
	return Names[N, D]{changes}
}
