//go:build unix

package server

import (
	"golang.org/x/sys/unix"

	"holdfast/broker"
)

// measure returns how full the disk of dir is, as who is not root sees it.
func measure(dir string) (broker.Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return broker.Space{}, err
	}
	used := int64(st.Blocks-st.Bfree) * int64(st.Bsize)
	return broker.Space{Used: used, Total: used + int64(st.Bavail)*int64(st.Bsize)}, nil
}

// usedBytes returns the bytes in use on the file system of dir.
func usedBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks-st.Bfree) * int64(st.Bsize), nil
}
