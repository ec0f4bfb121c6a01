//go:build !linux

package history

import (
	"errors"
	"os"
)

// segment is memory here: files of binary histories are written on Linux only.
type segment struct {
	at    int64
	bytes []byte
	words []uint64
}

func mapRegion(*os.File, int64, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func (s *segment) populate()    {}
func (s *segment) unmap() error { return nil }

func punch(*os.File, *segment, int) {}
