package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// record is the length of a record in bytes; each begins with its number.
const record = 1000

// writeAll makes numbered records durable in three ways at once, and says how far each has come.
func writeAll(dir string) error {
	ended := make(chan error)
	go func() { ended <- appendRecords(dir + "/appended") }()
	go func() { ended <- mapRecords(dir + "/mapped") }()
	go func() { ended <- replaceFile(dir, "replaced") }()
	return <-ended
}

func number(i int) []byte { return fmt.Appendf(nil, "%09d", i) }

// appendRecords writes, and syncs every 10th time.
func appendRecords(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := make([]byte, record)
	for i := 1; ; i++ {
		copy(b, number(i))
		if _, err := f.Write(b); err != nil {
			return err
		}
		if i%10 != 0 {
			continue
		}
		if err := f.Sync(); err != nil {
			return err
		}
		fmt.Println("appended", i)
	}
}

// mapRecords stores through a mapping, and syncs every 3rd time.
func mapRecords(path string) error {
	const most = 20000
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := f.Truncate(most * record); err != nil {
		return err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, most*record, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	for i := 1; i <= most; i++ {
		copy(m[(i-1)*record:], number(i))
		if i%3 != 0 {
			continue
		}
		if err := unix.Msync(m, unix.MS_SYNC); err != nil {
			return err
		}
		fmt.Println("mapped", i)
	}
	time.Sleep(time.Hour)
	return nil
}

// replaceFile replaces a file by a synced new one and syncs the directory.
func replaceFile(dir, name string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	for i := 1; ; i++ {
		f, err := os.Create(filepath.Join(dir, name+".tmp"))
		if err != nil {
			return err
		}
		if _, err := f.Write(number(i)); err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close(), os.Rename(f.Name(), filepath.Join(dir, name)), d.Sync()); err != nil {
			return err
		}
		fmt.Println("replaced", i)
	}
}
