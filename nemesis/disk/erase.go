package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// erase empties the backing directory of a volume that is not mounted.
func (v *volume) erase() (Impact, error) {
	if v.served != nil {
		return Impact{}, errors.New("still mounted")
	}
	v.closeTree()
	var impact Impact
	err := filepath.WalkDir(v.backing, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		impact.FilesLost++
		impact.BytesLost += info.Size()
		return nil
	})
	if err != nil {
		return Impact{}, err
	}
	if err := os.RemoveAll(v.backing); err != nil {
		return Impact{}, err
	}
	return impact, os.MkdirAll(v.backing, 0o755)
}

func procFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func fuseDefaults() fuse.RawFileSystem { return fuse.NewDefaultRawFileSystem() }
