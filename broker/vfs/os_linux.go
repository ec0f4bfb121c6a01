package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync, once more when a signal interrupts it before it began.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// NextData implements Sparse: the file system knows its holes. One that does not says that all is data.
func (f *osFile) NextData(off int64) (int64, error) {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA) // reads and writes say where themselves
	if err == unix.ENXIO {
		return -1, nil
	}
	return at, known(os.NewSyscallError("seek", err))
}

// lockFile takes a lock on the first byte that belongs to the open file: it conflicts with the record locks that a JVM
// takes, and with another open of the same process.
func lockFile(f *os.File) error {
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	return os.NewSyscallError("lock", err)
}
