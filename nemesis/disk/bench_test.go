package disk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkDisk compares the lossy disk with the disk below it, as brokers use them: durable appends to a file whose
// length is set, plain appends, and stores through a mapping with msync. One child process does both in turn, some
// operations here and some there, so that whatever else the machine does strikes both; x-bare is the median of the
// ratios of such pairs. BackingSync is real where there are fsyncs.
func BenchmarkDisk(b *testing.B) {
	for _, sync := range []string{"real", "none"} {
		for _, what := range []string{"append-4KiB-fdatasync", "map-1KiB-msync", "append-4KiB", "append-1MiB"} {
			if sync == "none" && (what == "append-4KiB" || what == "append-1MiB") {
				continue // no fsync in them
			}
			b.Run(sync+"/"+what, func(b *testing.B) {
				r := newRig(b, Config{BackingSync: sync}, "a")
				cmd := exec.Command("/proc/self/exe", filepath.Join(b.TempDir(), "f"), filepath.Join(r.mount("a"), "f"), what, strconv.Itoa(b.N))
				cmd.Env = append(os.Environ(), benchEnv+"=1")
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				var pairs []benchPair
				if err := json.Unmarshal(out, &pairs); err != nil {
					b.Fatal(err)
				}
				report(b, pairs)
			})
		}
	}
}

// benchPair is how long the same operations took on the bare disk and on the lossy one, and how many they were.
type benchPair struct {
	Bare, Lossy time.Duration
	Ops         int
}

// report reports medians of the pairs.
func report(b *testing.B, pairs []benchPair) {
	median := func(of func(benchPair) float64) float64 {
		var all []float64
		for _, p := range pairs {
			all = append(all, of(p))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	us := func(d time.Duration, ops int) float64 { return float64(d.Nanoseconds()) / float64(ops) / 1e3 }
	b.ReportMetric(median(func(p benchPair) float64 { return us(p.Bare, p.Ops) }), "bare-us/op")
	b.ReportMetric(median(func(p benchPair) float64 { return us(p.Lossy, p.Ops) }), "lossy-us/op")
	b.ReportMetric(median(func(p benchPair) float64 { return float64(p.Lossy) / float64(p.Bare) }), "x-bare")
	b.ReportMetric(0, "ns/op") // of both together: of no interest
}

// benchEnv makes the test binary the process that does a benchmark's work: its arguments are a file on the bare disk, one
// on the lossy disk, what to do, and how often. It prints the pairs.
const benchEnv = "HOLDFAST_DISK_BENCH"

func runBench(args []string) int {
	n, err := strconv.Atoi(args[3])
	if err == nil {
		var pairs []benchPair
		if pairs, err = benchPairs(args[0], args[1], args[2], n); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(pairs)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// pairOps is how many operations are done on one disk before the other has its turn.
const pairOps = 20

func benchPairs(bare, lossy, what string, n int) ([]benchPair, error) {
	var files [2]*benchFile
	for i, path := range []string{bare, lossy} {
		f, err := newBenchFile(path, what)
		if err != nil {
			return nil, err
		}
		defer f.close()
		files[i] = f
	}
	var pairs []benchPair
	for n > 0 {
		p := benchPair{Ops: min(n, pairOps)}
		for i, took := range []*time.Duration{&p.Bare, &p.Lossy} {
			began := time.Now()
			for range p.Ops {
				if err := files[i].once(); err != nil {
					return nil, err
				}
			}
			*took = time.Since(began)
		}
		pairs = append(pairs, p)
		n -= p.Ops
	}
	return pairs, nil
}

// benchFile is a file of a set length that is appended to, from the start again when it is full.
type benchFile struct {
	f      *os.File
	what   string
	data   []byte
	mapped []byte
	off    int64
}

const benchLength = 256 << 20

func newBenchFile(path, what string) (*benchFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	size := map[string]int{"append-4KiB-fdatasync": 4096, "append-4KiB": 4096, "append-1MiB": 1 << 20, "map-1KiB-msync": 1024}[what]
	b := &benchFile{f: f, what: what, data: bytes.Repeat([]byte{7}, size)}
	if err := f.Truncate(benchLength); err != nil {
		return nil, err
	}
	if what == "map-1KiB-msync" {
		b.mapped, err = unix.Mmap(int(f.Fd()), 0, benchLength, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	return b, err
}

func (b *benchFile) close() {
	if b.mapped != nil {
		_ = unix.Munmap(b.mapped)
	}
	b.f.Close()
}

func (b *benchFile) once() error {
	off := b.off
	b.off = (b.off + int64(len(b.data))) % benchLength
	if b.mapped != nil {
		copy(b.mapped[off:], b.data)
		page := off &^ (pageSize - 1)
		return unix.Msync(b.mapped[page:page+pageSize], unix.MS_SYNC)
	}
	if _, err := b.f.WriteAt(b.data, off); err != nil || b.what != "append-4KiB-fdatasync" {
		return err
	}
	return unix.Fdatasync(int(b.f.Fd()))
}
