package nemesis

import (
	"time"

	"holdfast/broker/vfs"
)

// WritebackExpiry is the age at which the kernel has written a dirty page down by itself (dirty_expire_centisecs).
const WritebackExpiry = 30 * time.Second

// Loss returns the model of what a power cut leaves that s asks for, under a model of names.
//
// The age of a page that was changed through a mapping counts, on the lossy disk, from when it reached the disk: of what happened in
// the kernel before that nothing is known. So under writeback such pages may be lost up to 30 s longer than on ext4.
func (s Survive) Loss(names vfs.NamesModel) vfs.Loss {
	loss := vfs.Loss{KeepPercent: s.Percent, Tear: s.Tear, Reorder: s.Reorder, Names: names}
	if s.Writeback {
		loss.Writeback = WritebackExpiry
	}
	return loss
}
