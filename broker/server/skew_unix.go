//go:build unix

package server

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// openSkewPage maps the page of a nemesis. It stays mapped until the process ends: whoever has a clock reads it at any time.
func openSkewPage(path string) (*skewPage, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < int64(os.Getpagesize()) { // a mapping beyond the end of the file would end the process
		return nil, fmt.Errorf("%s: %w: %d bytes", path, errNoSkewPage, info.Size())
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: mmap: %w", path, err)
	}
	p, err := skewPageOf(mem)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), syscall.Munmap(mem))
	}
	return p, nil
}
