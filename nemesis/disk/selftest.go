package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"holdfast/broker/vfs"
)

// selfTestNode is the volume of a self-test.
const selfTestNode = "self-test"

// selfTestFor bounds a self-test; it takes some 20 ms.
const selfTestFor = 10 * time.Second

// selfTestCase is one way of writing, and whether it must be there after a cut.
type selfTestCase struct {
	name   string
	orders []order
	there  bool
}

func selfTestCases(mark []byte) []selfTestCase {
	zero := make([]byte, len(mark))
	blank := []order{{Op: orderWrite, Data: zero}, {Op: orderSync}}
	return []selfTestCase{
		{"write-lost", append(blank, order{Op: orderWrite, Data: mark}), false},
		{"write-kept", append(blank, order{Op: orderWrite, Data: mark}, order{Op: orderSync}), true},
		{"dsync-kept", append(blank, order{Op: orderSyncEach, Data: mark}), true},
		{"mmap-lost", append(blank, order{Op: orderMap, Data: mark}), false},
		{"mmap-kept", append(blank, order{Op: orderMap, Data: mark}, order{Op: orderMapSync}), true},
	}
}

// SelfTest proves, in less than a second, that the disk loses what it must and keeps what it must: what a child process
// wrote without sync, by write and by mmap, is gone after a cut, and what it synced is there. dir is a directory on the
// file system that the nodes will use; it is left as it was. The error names what failed.
func SelfTest(ctx context.Context, c *Client, dir string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, selfTestFor)
	defer cancel()
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("disk: self-test: %w", err)
	}
	scratch, err := os.MkdirTemp(dir, ".disk-self-test-*")
	if err != nil {
		return fmt.Errorf("disk: self-test: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	backing, mountPoint := filepath.Join(scratch, "backing"), filepath.Join(scratch, "mount")
	if err := c.Mount(selfTestNode, backing, mountPoint, -1); err != nil {
		return fmt.Errorf("disk: self-test: %w", err)
	}
	defer func() { err = errors.Join(err, c.Remove(selfTestNode)) }()
	mark := bytes.Repeat([]byte{0xa5}, 3*pageSize+100)
	impact, err := selfTestCut(ctx, c, mountPoint, selfTestCases(mark))
	if err != nil {
		return fmt.Errorf("disk: self-test: %w", err)
	}
	for _, t := range selfTestCases(mark) {
		got, err := os.ReadFile(filepath.Join(backing, t.name))
		if err != nil {
			return fmt.Errorf("disk: self-test: %s: %w", t.name, err)
		}
		switch {
		case t.there && !bytes.Equal(got, mark):
			return fmt.Errorf("disk: self-test: %s: synced before the cut and not there after it", t.name)
		case !t.there && bytes.IndexByte(got, mark[0]) >= 0:
			return fmt.Errorf("disk: self-test: %s: not synced before the cut and there after it", t.name)
		}
	}
	if want := int64(2 * len(mark)); impact.BytesLost != want {
		return fmt.Errorf("disk: self-test: %d bytes counted as lost, want %d", impact.BytesLost, want)
	}
	return nil
}

// selfTestCut has a child process do what the cases say, then cuts the power of its disk.
func selfTestCut(ctx context.Context, c *Client, mountPoint string, cases []selfTestCase) (Impact, error) {
	h, err := startHand()
	if err != nil {
		return Impact{}, err
	}
	stop := context.AfterFunc(ctx, h.kill)
	defer stop()
	gone := false
	defer func() {
		if !gone {
			h.kill()
			h.wait()
		}
	}()
	for _, t := range cases {
		for _, o := range t.orders {
			o.Path = filepath.Join(mountPoint, t.name)
			if _, err := h.do(o); err != nil {
				return Impact{}, fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	if _, err := c.Cut(selfTestNode); err != nil {
		return Impact{}, err
	}
	h.kill()
	err = c.Release(selfTestNode)
	h.wait()
	gone = true
	if err := errors.Join(err, c.Detach(selfTestNode)); err != nil {
		return Impact{}, err
	}
	return c.Survive(selfTestNode, 1, vfs.Loss{Names: c.names})
}
