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

// A change of names is kept in a journal until something makes it durable; a cut undoes the rest in reverse. What is
// removed or replaced is moved to the trash, a directory beside the backing directory, as long as it may come back.

type nameOp uint8

const (
	opCreate nameOp = iota + 1 // a file, link or device appeared at to
	opLink                     // a file that had a name already appeared at to
	opMkdir                    // a directory appeared at to
	opRemove                   // what was at from went to the trash
	opRename                   // from went to to; what was there went to the trash
)

// place is a name in a directory.
type place struct {
	dir  *inode
	name string
}

// nameChange is one entry of the journal.
type nameChange struct {
	op       nameOp
	from, to place
	target   *inode // created, removed or renamed; nil when unknown
	victim   *inode // replaced by a rename; nil when unknown or none
	trash    string // name in the trash of what was removed or replaced; empty: nothing
	trashDir bool   // that is a directory
	at       int64  // ns of the monotonic clock
	durable  bool   // noted, and removed from the journal by compact
}

// touches reports whether the change is about a name at p.
func (c *nameChange) touches(p place) bool {
	return p.dir != nil && (c.from == p || c.to == p)
}

// journal is the names journal of a volume. Guarded by volume.mu.
type journal struct {
	model   vfs.NamesModel
	changes []*nameChange
	trashFD int
	next    int
}

// trashName returns a fresh name in the trash.
func (j *journal) trashName() string {
	j.next++
	return strconv.Itoa(j.next)
}

// add appends a change and holds its inodes.
func (j *journal) add(c *nameChange) {
	for _, n := range c.inodes() {
		n.journal++
	}
	j.changes = append(j.changes, c)
}

// inodes returns those that the change needs alive.
func (c *nameChange) inodes() []*inode {
	var all []*inode
	for _, n := range []*inode{c.from.dir, c.to.dir, c.target, c.victim} {
		if n != nil {
			all = append(all, n)
		}
	}
	return all
}

// settle makes change i durable, and with it every earlier change of the same names: a directory cannot hold the later
// without the earlier.
func (j *journal) settle(i int) {
	c := j.changes[i]
	if c.durable {
		return
	}
	c.durable = true
	for k := i - 1; k >= 0; k-- {
		e := j.changes[k]
		if !e.durable && (e.touches(c.from) || e.touches(c.to)) {
			j.settle(k)
		}
	}
	if j.model == vfs.Posix {
		return
	}
	for _, dir := range []*inode{c.from.dir, c.to.dir} { // one journal: the directories above are committed with it
		for k := i - 1; k >= 0 && dir != nil; k-- {
			if e := j.changes[k]; !e.durable && e.target == dir {
				j.settle(k)
			}
		}
	}
}

// syncedFile notes a successful fsync of a file: under ext4 its own creation is durable with it.
func (j *journal) syncedFile(n *inode) {
	if j.model != vfs.Ext4 || n.journal == 0 {
		return
	}
	for i, c := range j.changes {
		if c.target == n && c.op == opCreate {
			j.settle(i)
		}
	}
}

// syncedDir notes a successful fsync of a directory: every change of its names is durable, and under ext4 its own
// creation with it.
func (j *journal) syncedDir(dir *inode) {
	for i, c := range j.changes {
		if c.from.dir == dir || c.to.dir == dir || j.model == vfs.Ext4 && c.target == dir {
			j.settle(i)
		}
	}
}

// expire makes the changes durable that ext4 has committed by now by itself.
func (j *journal) expire(now int64) {
	if j.model != vfs.Ext4 {
		return
	}
	for i, c := range j.changes {
		if now-c.at < int64(vfs.NamesCommit) {
			return
		}
		j.settle(i)
	}
}

// compact removes the durable changes, empties their trash and lets their inodes go.
func (j *journal) compact(t *inodes) {
	kept := j.changes[:0]
	var settled []*nameChange
	for _, c := range j.changes {
		if c.durable {
			settled = append(settled, c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(j.changes[len(kept):])
	j.changes = kept
	for _, c := range settled {
		if c.trash != "" {
			flag := 0
			if c.trashDir {
				flag = unix.AT_REMOVEDIR
			}
			_ = unix.Unlinkat(j.trashFD, c.trash, flag) // at worst it stays until the trash is removed whole
		}
		for _, n := range c.inodes() {
			n.journal--
			t.drop(n)
		}
	}
}

// survive settles the oldest changes that a cut at now leaves by luck, draws included, then takes back, newest first,
// every change that is not durable. It returns how many changes and how many created files that were.
func (j *journal) survive(rng *rand.Rand, loss vfs.Loss, now int64) (changes, files int64, err error) {
	j.expire(now)
	var ages []time.Duration
	for _, c := range j.changes {
		if !c.durable {
			ages = append(ages, time.Duration(now-c.at))
		}
	}
	lucky := vfs.SurvivingNames(rng, ages, loss)
	for i, c := range j.changes {
		if lucky > 0 && !c.durable {
			lucky--
			j.settle(i)
		}
	}
	for i := len(j.changes) - 1; i >= 0; i-- {
		c := j.changes[i]
		if c.durable {
			continue
		}
		if err := c.undo(j.trashFD); err != nil {
			return changes, files, fmt.Errorf("undo a change of names (%s, %s): %w", c.from.name, c.to.name, err)
		}
		changes++
		if c.op == opCreate {
			files++
		}
	}
	j.changes = nil
	return changes, files, nil
}

func (c *nameChange) undo(trashFD int) error {
	switch c.op {
	case opCreate, opLink:
		return unix.Unlinkat(c.to.dir.fd, c.to.name, 0)
	case opMkdir: // with whatever is durable in a directory that is not
		return os.RemoveAll(filepath.Join(procFD(c.to.dir.fd), c.to.name))
	case opRemove:
		return unix.Renameat(trashFD, c.trash, c.from.dir.fd, c.from.name)
	case opRename:
		if err := unix.Renameat(c.to.dir.fd, c.to.name, c.from.dir.fd, c.from.name); err != nil {
			return err
		}
		if c.trash != "" {
			return unix.Renameat(trashFD, c.trash, c.to.dir.fd, c.to.name)
		}
	}
	return nil
}
