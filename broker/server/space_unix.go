//go:build unix

package server

import "golang.org/x/sys/unix"

// usedBytes returns the bytes in use on the file system of dir.
func usedBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks-st.Bfree) * int64(st.Bsize), nil
}
