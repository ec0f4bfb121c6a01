// Package host measures the machine that an experiment runs on, as far as it bears on the figures: processor, kernel, file
// system, how long an fsync takes and whether it can be trusted, and the round trip between two processes.
package host

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/reports/result"
)

// An fsync that takes less than this has not reached a device. Source: design.md section 6.
const trustedFrom = 20 * time.Microsecond

// fsyncs is how many appends of 4 KiB are timed; fsyncsFor bounds it on slow disks.
const (
	fsyncs    = 400
	fsyncsFor = 1500 * time.Millisecond
)

// Machine describes the machine without its disk and its network.
func Machine() result.Host {
	h := result.Host{CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: kernel()}
	h.Name, _ = os.Hostname()
	return h
}

// Measure describes the machine with the file system of dir, which must exist. It writes a file of some MiB there, syncs it
// again and again for up to 1.5 s, and removes it.
func Measure(dir string) (result.Host, error) {
	h := Machine()
	h.SharedDisk = true
	var err error
	var memory bool
	if h.Filesystem, memory, err = filesystem(dir); err != nil {
		return h, err
	}
	times, err := TimeFsync(dir)
	if err != nil {
		return h, err
	}
	p50, p99 := quantile(times, 0.50), quantile(times, 0.99)
	h.Fsync = result.Fsync{P50: ms(p50), P99: ms(p99), Unit: "ms"}
	h.FsyncTrusted = !memory && p50 >= trustedFrom
	rtt, err := roundTrip()
	h.RTT = ms(rtt)
	return h, err
}

// TimeFsync appends 4 KiB and syncs it (fdatasync) to a new file in dir, again and again, and returns how long each sync took,
// ascending.
func TimeFsync(dir string) ([]time.Duration, error) {
	f, err := os.CreateTemp(dir, ".fsync-*")
	if err != nil {
		return nil, fmt.Errorf("measure fsync: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	for i := range page {
		page[i] = byte(i)
	}
	var times []time.Duration
	for began := time.Now(); len(times) < fsyncs && time.Since(began) < fsyncsFor; {
		if _, err := f.Write(page); err != nil {
			return nil, fmt.Errorf("measure fsync: %w", err)
		}
		start := time.Now()
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, fmt.Errorf("measure fsync: fdatasync %s: %w", f.Name(), err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times, nil
}

// Free returns how many bytes of the file system of dir an ordinary user may still write.
func Free(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}

// Load returns the load average of the last minute: processes that ran or waited for a disk. 0 where it is not known.
func Load() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

func quantile(ascending []time.Duration, q float64) time.Duration {
	if len(ascending) == 0 {
		return 0
	}
	return ascending[min(int(q*float64(len(ascending))), len(ascending)-1)]
}

// roundTrip returns the median of small exchanges over loopback TCP.
func roundTrip() (time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("measure the round trip: %w", err)
	}
	defer l.Close()
	go echo(l)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("measure the round trip: %w", err)
	}
	defer c.Close()
	var times []time.Duration
	b := make([]byte, 1)
	for range 200 {
		start := time.Now()
		if _, err := c.Write(b); err != nil {
			return 0, fmt.Errorf("measure the round trip: %w", err)
		}
		if _, err := c.Read(b); err != nil {
			return 0, fmt.Errorf("measure the round trip: %w", err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return quantile(times, 0.5), nil
}

func echo(l net.Listener) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	b := make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func cpuModel() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// filesystem names the file system that holds dir, and says whether it lies in memory.
func filesystem(dir string) (name string, memory bool, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", false, err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "unknown", false, nil
	}
	longest := -1
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !within(dir, fields[1]) || len(fields[1]) < longest {
			continue
		}
		longest, name = len(fields[1]), fields[2]
	}
	return name, name == "tmpfs" || name == "ramfs", nil
}

func within(dir, mount string) bool {
	return mount == "/" || dir == mount || strings.HasPrefix(dir, strings.TrimSuffix(mount, "/")+"/")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
