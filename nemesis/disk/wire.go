package disk

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
)

// The client and the server exchange JSON values over a socket pair: requests with an id of the client's choice, and
// one reply to each in any order, so that a wait for an fsync does not hold up a cut.

// request is one call of the client. Op is the name of the client's method in lower case.
type request struct {
	ID    uint64          `json:"id"`
	Op    string          `json:"op"`
	Nodes []string        `json:"nodes,omitempty"`
	Arg   json.RawMessage `json:"arg,omitempty"`
}

// reply answers the request with its ID.
type reply struct {
	ID     uint64          `json:"id"`
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

type mountArg struct {
	Backing, MountPoint string
	Outlet              int
}

type clearArg struct {
	Kind nemesis.Kind
	End  bool // else only asked about
}

type flipArg struct {
	Prefix string
	Bits   int
	Seed   uint64
}

type surviveArg struct {
	Seed uint64
	Loss vfs.Loss
}

type waitArg struct {
	Prefix string
	After  uint64
}

type waitCancelArg struct {
	ID uint64
}

// syncWire is a Sync with its instants in ns of the monotonic clock, which all processes of the machine share.
type syncWire struct {
	Path         string
	Seq          uint64
	Began, Ended int64
	Bytes        int64
	Failed       bool
}

// monotonic returns ns of CLOCK_MONOTONIC.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("disk: no monotonic clock: " + err.Error())
	}
	return ts.Nano()
}

// instant converts ns of CLOCK_MONOTONIC to a time of this process, with its monotonic reading.
func instant(mono int64) time.Time {
	return time.Now().Add(time.Duration(mono - monotonic()))
}

func (s *syncWire) sync() *Sync {
	if s == nil {
		return nil
	}
	return &Sync{Path: s.Path, Seq: s.Seq, Began: instant(s.Began), Ended: instant(s.Ended), Bytes: s.Bytes, Failed: s.Failed}
}

// statsWire is Stats with its last sync as it travels.
type statsWire struct {
	Stats
	Last *syncWire
}
