package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"holdfast/broker/vfs"
)

// spaceRetry is the pause before a write is tried again that found no space.
const spaceRetry = time.Second

// disk hands out what is due for the disk: a write of what is in memory, a sync of what is written, the work behind them.
func (n *Node) disk(out *Output) {
	now := n.now.Mono
	if n.cut.wanted {
		n.truncate(out)
		return
	}
	if n.retryWrite != 0 && now >= n.retryWrite {
		n.retryWrite = 0
	}
	if !n.writing && n.retryWrite == 0 && (n.contract.Flush.WriteDue(&n.marks, &n.passes, now) || n.stopping) {
		if j := n.store.TakeWrite(); j != nil {
			out.Write, n.writing, n.writtenGen, n.writtenUpto = j, true, j.Gen, j.Upto
		}
	}
	if !n.syncing && (n.contract.Flush.SyncDue(&n.marks, &n.passes, now) || n.stopping || n.syncWanted()) {
		if j := n.store.TakeSync(); j != nil {
			out.Sync, n.syncing, n.syncedGen, n.syncedUpto = j, true, j.Gen, j.Upto
			n.stats.syncBegun = now
		}
	}
	if !n.auxing {
		if j := n.store.TakeAux(now); j != nil {
			out.Aux, n.auxing, n.auxGen = j, true, j.Gen
		}
	}
}

// written takes the end of a write. A full disk loses nothing: the bytes stay in memory, puts are refused, and the write
// is tried again. Any other failure leaves a log of unknown content: halt.
func (n *Node) written(err error, out *Output) {
	n.writing = false
	n.store.Written(n.writtenGen, n.writtenUpto, err)
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
		if !n.full {
			note(out, true, "the disk is full: sends are refused with SERVICE_NOT_AVAILABLE until there is space")
		}
		n.full, n.retryWrite = true, n.now.Mono+spaceRetry
	case err != nil:
		n.halt("write of the commit log", err)
	default:
		if n.full {
			note(out, false, "the disk has space again")
		}
		n.full = false
	}
}

// synced takes the end of a sync. After a failed one the pages may be clean and not on the disk: a second try would
// succeed and lie, so the node halts.
func (n *Node) synced(err error) {
	n.syncing = false
	n.store.Synced(n.syncedGen, n.syncedUpto, err)
	if err != nil {
		n.halt("fsync of the commit log", err)
		return
	}
	n.contract.Flush.Synced(&n.passes, n.now.Mono)
	n.stats.syncs++
	n.stats.syncTime += n.now.Mono - n.stats.syncBegun
}

// auxDone takes the end of the work behind the log. What failed there can be rebuilt, but not trusted to be complete: the
// store refuses to go on, and so does the node; a full disk only waits.
func (n *Node) auxDone(err error, out *Output) {
	n.auxing = false
	n.store.AuxDone(n.auxGen, err)
	if n.store.Err() != nil {
		n.halt("consume queues and checkpoint", n.store.Err())
	} else if err != nil {
		note(out, true, "consume queues and checkpoint: %v", err)
	}
}

// saveTable keeps the saves of one file in order: the next is put out when the last one has ended.
type saveTable struct{ files []savedFile }

type savedFile struct {
	name    string
	running bool
	next    []byte // contents that came while one was running; the newest only
}

// save puts contents out for name.
func (n *Node) save(name string, contents []byte, out *Output) {
	f := n.saves.file(name)
	if f.running {
		f.next = contents
		return
	}
	f.running = true
	out.Saves = append(out.Saves, Save{Name: name, Bytes: contents})
}

func (t *saveTable) file(name string) *savedFile {
	for i := range t.files {
		if t.files[i].name == name {
			return &t.files[i]
		}
	}
	t.files = append(t.files, savedFile{name: name})
	return &t.files[len(t.files)-1]
}

func (t *saveTable) busy() bool {
	for i := range t.files {
		if t.files[i].running {
			return true
		}
	}
	return false
}

// saved takes the end of a save.
func (n *Node) saved(name string, err error, out *Output) {
	if name == ConfName {
		n.savedConf(err, out)
		return
	}
	if err != nil {
		note(out, true, "save of %s: %v", name, err)
	}
	f := n.saves.file(name)
	f.running = false
	if next := f.next; next != nil {
		f.next = nil
		n.save(name, next, out)
	} else if name == epochsFile {
		n.epochsSaved(err, out)
	}
}

// saveOffsets puts the consumer offsets and the progress of delayed messages out if they changed.
func (n *Node) saveOffsets(out *Output) {
	if n.delayed.dirty {
		n.delayed.dirty = false
		levels := n.delayed.table(n.control != nil)
		n.save(delaysFile, levels.Append(nil), out)
	}
	if !n.offsets.dirty {
		return
	}
	n.offsets.dirty = false
	n.offsets.version.Timestamp = n.now.Wall
	table := n.offsets.table()
	n.save(offsetsFile, table.Append(nil), out)
}

// stop begins an orderly end: what is in memory goes to the disk, whatever the flush policy.
func (n *Node) stop(out *Output) {
	n.stopping = true
	n.saveOffsets(out)
	n.saveLate(true, out)
	n.calls.pending = nil // what a name server that is gone would have answered
	n.releaseHeld(true, out)
	n.unregisterBroker(out)
}

// stopped tells the driver when nothing is outstanding. What is not being written by then cannot be: the front of a record
// whose rest the master has not sent, or all on a full disk.
func (n *Node) stopped(out *Output) {
	idle := !n.writing && !n.syncing && !n.auxing && !n.cut.running && !n.saves.busy() && !n.confSaving && n.calls.len() == 0
	out.Stopped = n.stopping && idle
}

// loadFile reads a small file, if it is there, into value.
func loadFile[T any](fsys vfs.FS, name string, parse func([]byte) (T, error), value *T) error {
	b, err := vfs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		*value, err = parse(b)
	}
	if err != nil {
		return fmt.Errorf("broker: read %s: %w", name, err)
	}
	return nil
}
