// Package disk is the lossy disk: a FUSE file system, served by a process of its own, under which a node's files lie
// and from which a power cut takes whatever no fsync covered, in the kernel's page cache and below it alike.
//
// The runner holds a [Client]; the server is a re-execution of the same binary (see [Main]) that mounts one volume a
// node over a backing directory. Durability is modelled: each inode remembers, page by page, what it held at its last
// fsync, and each volume keeps a journal of the names that no fsync covered. A cut undoes both, in the manner that
// vfs.Loss describes.
//
// Durability has the grain of the kernel's pages, 4 KiB. The kernel keeps write calls to a file out while an fsync of the
// same file is in progress (it holds the inode's lock for the whole request, as ext4 does not), so under a slow fsync
// writers wait here who would not on a disk; stores through a mapping do not wait. Latencies are not measured on it.
//
// Beside cuts a disk has faults ([FaultSpec]): fsyncs, writes and reads that fail, slow fsyncs, no space left; bits of what
// was durable can be flipped while it is detached, and it can be lost whole. Each counts what it struck.
//
// A process that serves a FUSE mount and also touches it can deadlock, and a collector pause of the generator would
// stall every node: so nobody but the nodes (and child processes made for the purpose) may open, stat, execute from or
// change directory into a mount. A node that is down is read in its backing directory.
package disk

import (
	"strings"
	"time"

	"holdfast/nemesis"
)

// Impact is what a power cut was measured to have taken from one node's disk.
type Impact struct {
	BytesLost   int64 `json:"bytesLost"`   // bytes of files whose content the cut changed or removed
	PagesLost   int64 `json:"pagesLost"`   // dirty pages of 4 KiB that did not survive
	PagesKept   int64 `json:"pagesKept"`   // dirty pages that survived although no fsync covered them
	FilesLost   int64 `json:"filesLost"`   // files that are gone because their creation was not durable
	NamesLost   int64 `json:"namesLost"`   // directory changes undone: creations, removals, renames, links
	KernelBytes int64 `json:"kernelBytes"` // of mapped pages that the kernel brought only after the cut (counted, not applied)
	Refused     int64 `json:"refused"`     // system calls that arrived after the cut and were never acknowledged
	// UnsyncedAtCut is in bytes of whole pages: of those that no completed fsync covered at the instant of the cut,
	// whether they survived or not, those that were dirty in the kernel alone among them.
	UnsyncedAtCut int64      `json:"unsyncedAtCut"`
	Files         []Unsynced `json:"files,omitempty"` // where those are
}

// Unsynced is what of one file no completed fsync covered at the instant of a cut: what was written since the last of its
// completed fsyncs began, by write or through a mapping.
type Unsynced struct {
	Path  string `json:"path"`  // relative to the volume's root, the latest name
	Pages int64  `json:"pages"` // of 4 KiB
	// Written is in bytes: over each run of adjacent pages the span from the first to the last byte that differs from
	// what is durable. For a log that is appended to, however its file was allocated, that is what was appended, but for
	// zeroes at the very ends of it. A byte between two changed ones counts, a byte written with its old value at the end
	// of a run does not.
	Written int64 `json:"written"`
}

// Predicted returns the bytes that a cut with the worst loss takes from the files whose path begins with prefix: those
// written since the last completed fsync of each began. Beside what was lost of a log it is a check of both.
func (i Impact) Predicted(prefix string) (bytes int64) {
	for _, f := range i.Files {
		if strings.HasPrefix(f.Path, prefix) {
			bytes += f.Written
		}
	}
	return bytes
}

// Effect returns the impact in the units of the history's fault lines.
func (i Impact) Effect() nemesis.Impact {
	return nemesis.Impact{
		"bytesLost": i.BytesLost, "pagesLost": i.PagesLost, "pagesKept": i.PagesKept, "filesLost": i.FilesLost,
		"namesLost": i.NamesLost, "kernelBytes": i.KernelBytes, "refused": i.Refused, "unsyncedAtCut": i.UnsyncedAtCut,
	}
}

// Sync is one fsync (fdatasync, msync, O_DSYNC write) that the disk has completed.
type Sync struct {
	Path   string    // of the file, relative to the volume's root, with slashes
	Seq    uint64    // 1, 2, ... within the volume
	Began  time.Time // what was written after this instant is not covered
	Ended  time.Time // durable, just before the reply
	Bytes  int64     // of dirty pages that it made durable
	Failed bool      // answered EIO by a fault
}

// Stats is a volume's state at one instant.
type Stats struct {
	UnsyncedBytes int64         // of dirty pages that reached the disk and that no fsync covers; the kernel may hold more, see Impact
	UnsyncedNames int           // directory changes that a cut would undo under NamesPosix
	Calls         int64         // requests served
	Writes        int64         // WRITE requests applied
	WriteBytes    int64         // bytes of those
	Syncs         int64         // fsyncs completed, the failed ones included
	SyncErrors    int64         // fsyncs answered EIO on purpose
	SyncDelays    int64         // fsyncs delayed on purpose
	SyncP50       time.Duration // over the last 4,096 fsyncs, from request to reply
	SyncP99       time.Duration
	SyncMax       time.Duration // of all
	LastSync      *Sync         // of any file; nil before the first
	CPU           time.Duration // user and system time of the whole disk process
	Stall         time.Duration // longest delay of a 5 ms ticker in the disk process since its start
	BackingSync   string        // "none": durability is modelled only; "real": an fdatasync below each fsync
}
