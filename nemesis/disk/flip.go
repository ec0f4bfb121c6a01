package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Flip is one bit that was changed.
type Flip struct {
	Path          string // of the file, relative to the volume's root
	Off           int64  // of the byte in it
	Bit           int    // 0 (the lowest) to 7
	Before, After byte
}

// durablePage is a page that may be flipped.
type durablePage struct {
	path string // below the root
	span
}

// flip changes as many different bits, drawn by seed, of what an fsync had covered in the files whose path begins with
// prefix. Pages of nothing but zeroes are left alone: they are space that nobody has written yet.
func (v *volume) flip(prefix string, bits int, seed uint64) ([]Flip, error) {
	if v.served != nil || v.table.byID != nil {
		return nil, errors.New("bits are flipped while the disk is detached and what a cut leaves is chosen")
	}
	var pages []durablePage
	err := filepath.WalkDir(v.backing, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(v.backing, name)
		if err != nil || !strings.HasPrefix(rel, prefix) {
			return err
		}
		found, err := v.durablePages(name)
		for _, s := range found {
			pages = append(pages, durablePage{rel, s})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	flips, err := drawFlips(rng, pages, bits)
	if err != nil {
		return nil, fmt.Errorf("files with prefix %q: %w", prefix, err)
	}
	for i := range flips {
		if err := flips[i].apply(v.backing); err != nil {
			return flips[:i], err
		}
	}
	return flips, nil
}

// durablePages returns what of a file's pages an fsync had covered, without those of nothing but zeroes.
func (v *volume) durablePages(name string) ([]span, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var found []span
	buf := make([]byte, pageSize)
	lucky := v.lucky[info.Sys().(*syscall.Stat_t).Ino]
	for off := int64(0); off < info.Size(); {
		data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		if err != nil {
			return nil, err
		}
		page := span{data &^ (pageSize - 1), min(data&^(pageSize-1)+pageSize, info.Size())}
		off = page.from + pageSize
		n, err := f.ReadAt(buf[:page.to-page.from], page.from)
		if err != nil {
			return nil, err
		}
		if kept(buf[:n]) != nil && !overlaps(lucky, page) {
			found = append(found, page)
		}
	}
	return found, nil
}

// overlaps reports whether any of the spans has a byte in common with s.
func overlaps(spans []span, s span) bool {
	for _, x := range spans {
		if x.from < s.to && s.from < x.to {
			return true
		}
	}
	return false
}

// drawFlips draws different bits of the pages.
func drawFlips(rng *rand.Rand, pages []durablePage, bits int) ([]Flip, error) {
	var total int64 // bytes
	for _, p := range pages {
		total += p.to - p.from
	}
	if int64(bits) > total*8 || bits < 1 {
		return nil, fmt.Errorf("%d bits: want between 1 and the %d that an fsync covered", bits, total*8)
	}
	drawn := map[int64]bool{}
	var flips []Flip
	for len(flips) < bits {
		bit := rng.Int64N(total * 8)
		if drawn[bit] {
			continue
		}
		drawn[bit] = true
		at := bit / 8
		for _, p := range pages {
			if length := p.to - p.from; at >= length {
				at -= length
				continue
			}
			flips = append(flips, Flip{Path: filepath.ToSlash(p.path), Off: p.from + at, Bit: int(bit % 8)})
			break
		}
	}
	return flips, nil
}

// apply changes the bit on the backing file system and notes its byte before and after.
func (f *Flip) apply(backing string) error {
	file, err := os.OpenFile(filepath.Join(backing, f.Path), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	var b [1]byte
	if _, err := file.ReadAt(b[:], f.Off); err != nil {
		return err
	}
	f.Before = b[0]
	b[0] ^= 1 << f.Bit
	f.After = b[0]
	_, err = file.WriteAt(b[:], f.Off)
	return err
}
