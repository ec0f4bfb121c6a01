package disk

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
)

// A change of names is kept in a journal until something makes it durable, which vfs.Names decides; a cut undoes the rest
// in reverse. What is removed or replaced is moved to the trash, a directory beside the backing directory, as long as it
// may come back.

// place is a name in a directory.
type place = vfs.Place[*inode]

// nameChange is one entry of the journal.
type nameChange = vfs.Change[*inode, undoing]

// undoing is what it takes to take a change back, or to be rid of what it threw away.
type undoing struct {
	victim   *inode // replaced by a rename; nil when unknown or none
	trash    string // name in the trash of what was removed or replaced; empty: nothing
	trashDir bool   // that is a directory
}

// journal is the names journal of a volume. Guarded by volume.mu.
type journal struct {
	vfs.Names[*inode, undoing]
	model   vfs.NamesModel
	trashFD int
	next    int
}

// trashName returns a fresh name in the trash.
func (j *journal) trashName() string {
	j.next++
	return strconv.Itoa(j.next)
}

// add appends a change made now and holds its inodes.
func (j *journal) add(c nameChange) {
	c.At = time.Duration(monotonic())
	for _, n := range inodesOf(&c) {
		n.journal++
	}
	j.Add(c)
}

// inodesOf returns those that the change needs alive.
func inodesOf(c *nameChange) []*inode {
	var all []*inode
	for _, n := range []*inode{c.From.Dir, c.To.Dir, c.Target, c.Detail.victim} {
		if n != nil {
			all = append(all, n)
		}
	}
	return all
}

// compact removes the durable changes, empties their trash and lets their inodes go.
func (j *journal) compact(t *inodes) {
	if len(j.Changes) == 0 {
		return
	}
	j.Drop(j.model, func(c *nameChange) {
		j.empty(c)
		for _, n := range inodesOf(c) {
			n.journal--
			t.drop(n)
		}
	})
}

// empty removes for good what a durable change threw away.
func (j *journal) empty(c *nameChange) {
	if c.Detail.trash == "" {
		return
	}
	flag := 0
	if c.Detail.trashDir {
		flag = unix.AT_REMOVEDIR
	}
	_ = unix.Unlinkat(j.trashFD, c.Detail.trash, flag) // at worst it stays until the trash is removed whole
}

// survive settles what a cut at now leaves, by age and by luck, and is rid of what the settled changes threw away.
func (j *journal) survive(rng *rand.Rand, loss vfs.Loss, now int64) {
	j.Survive(rng, loss, time.Duration(now))
	j.Drop(j.model, j.empty)
}

// undo takes back, newest first, every change that is left. It returns how many changes and how many created files that
// were.
func (j *journal) undo() (changes, files int64, err error) {
	for i := len(j.Changes) - 1; i >= 0; i-- {
		c := j.Changes[i]
		if err := undo(c, j.trashFD); err != nil {
			return changes, files, fmt.Errorf("undo a change of names (%s, %s): %w", c.From.Name, c.To.Name, err)
		}
		changes++
		if c.Own && !c.Target.isDir() {
			files++
		}
	}
	j.Changes = nil
	return changes, files, nil
}

func undo(c *nameChange, trashFD int) error {
	switch {
	case c.From.Dir == nil && c.Target.isDir(): // with whatever is durable in a directory that is not
		return os.RemoveAll(filepath.Join(procFD(c.To.Dir.fd), c.To.Name))
	case c.From.Dir == nil:
		return unix.Unlinkat(c.To.Dir.fd, c.To.Name, 0)
	case c.To.Dir == nil:
		return unix.Renameat(trashFD, c.Detail.trash, c.From.Dir.fd, c.From.Name)
	}
	if err := unix.Renameat(c.To.Dir.fd, c.To.Name, c.From.Dir.fd, c.From.Name); err != nil {
		return err
	}
	if c.Detail.trash != "" {
		return unix.Renameat(trashFD, c.Detail.trash, c.To.Dir.fd, c.To.Name)
	}
	return nil
}
