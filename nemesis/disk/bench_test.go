package disk

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkDisk compares the lossy disk with the disk below it, as a broker uses them: durable appends to a file whose
// length is set, plain appends, and stores through a mapping with msync. The work is done by a child process.
func BenchmarkDisk(b *testing.B) {
	for _, where := range []struct{ name, sync string }{{"bare", ""}, {"lossy-none", "none"}, {"lossy-real", "real"}} {
		for _, what := range []string{"append-4KiB-fdatasync", "append-4KiB", "append-1MiB", "map-1KiB-msync"} {
			b.Run(where.name+"/"+what, func(b *testing.B) {
				r := newRig(b, Config{BackingSync: where.sync}, "a")
				dir := r.mount("a")
				if where.sync == "" {
					dir = b.TempDir()
				}
				cmd := exec.Command("/proc/self/exe", filepath.Join(dir, "f"), what, strconv.Itoa(b.N))
				cmd.Env = append(os.Environ(), benchEnv+"=1")
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				took, err := time.ParseDuration(string(out))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/1e3, "us/op")
			})
		}
	}
}

// benchEnv makes the test binary the process that does a benchmark's work: its arguments are a file, what to do, and how
// often. It prints how long that took.
const benchEnv = "HOLDFAST_DISK_BENCH"

func runBench(args []string) int {
	n, err := strconv.Atoi(args[2])
	if err == nil {
		var took time.Duration
		if took, err = benchWork(args[0], args[1], n); err == nil {
			fmt.Print(took)
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func benchWork(path, what string, n int) (time.Duration, error) {
	const length = 256 << 20
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size := map[string]int{"append-4KiB-fdatasync": 4096, "append-4KiB": 4096, "append-1MiB": 1 << 20, "map-1KiB-msync": 1024}[what]
	data := bytes.Repeat([]byte{7}, size)
	if err := f.Truncate(length); err != nil {
		return 0, err
	}
	var m []byte
	if what == "map-1KiB-msync" {
		if m, err = unix.Mmap(int(f.Fd()), 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return 0, err
		}
		defer unix.Munmap(m)
	}
	began := time.Now()
	for i := range n {
		off := i * size % length
		switch {
		case m != nil:
			copy(m[off:], data)
			page := off &^ (pageSize - 1)
			err = unix.Msync(m[page:page+pageSize], unix.MS_SYNC)
		default:
			if _, err = f.WriteAt(data, int64(off)); err == nil && what == "append-4KiB-fdatasync" {
				err = unix.Fdatasync(int(f.Fd()))
			}
		}
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}
