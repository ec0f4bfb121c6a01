package nemesis

import (
	"testing"
	"time"

	"holdfast/broker/vfs"
)

func TestLossOfASchedule(t *testing.T) {
	got := (Survive{Percent: 30, Writeback: true, Tear: true, Reorder: true}).Loss(vfs.Posix)
	if want := (vfs.Loss{KeepPercent: 30, Tear: true, Reorder: true, Names: vfs.Posix, Writeback: 30 * time.Second}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (Survive{}).Loss(vfs.Ext4); got != (vfs.Loss{}) {
		t.Errorf("got %+v, want the worst", got)
	}
}
