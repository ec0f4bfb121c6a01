package history

import (
	"os"

	"golang.org/x/sys/unix"
)

// segment is a region of the file, mapped shared; or memory.
type segment struct {
	at    int64  // bytes from the start of the file
	bytes []byte // the mapping; nil in memory
	words []uint64
}

// mapRegion gives the file size bytes at an offset, so that no later write can lack space, and maps them.
func mapRegion(file *os.File, at int64, size int) ([]byte, error) {
	if err := unix.Fallocate(int(file.Fd()), 0, at, int64(size)); err != nil {
		if err != unix.EOPNOTSUPP {
			return nil, os.NewSyscallError("fallocate", err)
		}
		if err := file.Truncate(at + int64(size)); err != nil {
			return nil, err
		}
	}
	m, err := unix.Mmap(int(file.Fd()), at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return m, os.NewSyscallError("mmap", err)
}

// populate takes the page faults of a segment now. Failure only means that they come later.
func (s *segment) populate() {
	if s.bytes != nil {
		_ = unix.Madvise(s.bytes, unix.MADV_POPULATE_WRITE)
	}
}

func (s *segment) unmap() error {
	if s.bytes == nil {
		return nil
	}
	err := os.NewSyscallError("munmap", unix.Munmap(s.bytes))
	s.bytes, s.words = nil, nil
	return err
}

// punch returns what a segment does not use beyond its first words to the file system. It still reads as zeroes.
// A file system that cannot do that keeps the space.
func punch(file *os.File, s *segment, used int) {
	if s.bytes == nil {
		return
	}
	const page = 4096
	from := (int64(used)*8 + page - 1) &^ (page - 1)
	if size := int64(len(s.bytes)); from < size {
		_ = unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.at+from, size-from)
	}
}
