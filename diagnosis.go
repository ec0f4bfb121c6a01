package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/nemesis/leftover"
	"holdfast/reports/result"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/cluster/host"
	"holdfast/scenarios/cluster/sandbox"
)

// diagnosis is what doctor finds.
type diagnosis struct {
	Version string      `json:"version"`
	Worlds  []worldSeen `json:"worlds"`
	Host    result.Host `json:"host"`
	Checks  []check     `json:"checks"`
}

// worldSeen says whether experiments can run in a world, and which faults can be injected there.
type worldSeen struct {
	Name       string      `json:"name"`
	Possible   bool        `json:"possible"`
	Reason     string      `json:"reason,omitempty"` // why not
	Fix        string      `json:"fix,omitempty"`    // what to run or change
	Faults     []string    `json:"faults,omitempty"` // that can be injected there
	Impossible []faultSeen `json:"impossible,omitempty"`
}

// faultSeen is a fault that cannot be injected in a world.
type faultSeen struct {
	Fault  string `json:"fault"`
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
}

// state of what was checked.
type state string

const (
	fine    state = "ok"
	limited state = "limited" // works, but results suffer
	missing state = "missing" // something cannot be done
)

// check is one thing that experiments depend on.
type check struct {
	Name    string `json:"name"`
	State   state  `json:"state"`
	Found   string `json:"found"`
	Without string `json:"without,omitempty"` // what is not possible, or not to be trusted, because of it
	Fix     string `json:"fix,omitempty"`     // what to run or change
}

// needs of a matrix of Apache RocketMQ: two brokers, a name server and the generator.
const (
	memoryNeeded = 6 << 30 // bytes available
	freeNeeded   = 4 << 30 // bytes of disk: stores of a cell, its history, logs
	coresNeeded  = 2
	filesNeeded  = 4096    // open files
	pipeNeeded   = 1 << 20 // bytes: a request of FUSE with its data
)

// examine looks at the machine; dir is where experiments will write.
func examine(ctx context.Context, dir string) diagnosis {
	d := diagnosis{Version: version}
	can := sandbox.Examine()
	proof := can.Disks
	if proof == nil {
		proof = provenDisks(ctx, dir)
	}
	reference := cluster.System{Name: cluster.Reference}
	d.Worlds = []worldSeen{
		sandboxSeen(cluster.Sandbox{System: reference}, sandbox.Abilities{Namespaces: can.Namespaces, Disks: proof, Network: can.Network}),
		worldOf(cluster.Loopback{System: reference}, nil),
	}
	var fsync check
	d.Host, fsync = fsyncSeen(dir)
	d.Checks = []check{
		fsync,
		{Name: "processor", State: stateIf(d.Host.Cores >= coresNeeded, limited), Found: fmt.Sprintf("%s, %d cores", d.Host.CPU, d.Host.Cores),
			Without: "generator and brokers share one core: speeds mean little", Fix: "use a machine with at least 2 cores"},
		memorySeen(),
		freeSeen(dir),
		filesSeen(),
		clockSeen(),
		abilitySeen("namespaces", can.Namespaces, namespacesAllowed(), "no sandbox: no power cuts, no network faults"),
		abilitySeen("lossy disk", can.Disks, "/dev/fuse", "no power cuts and no other faults of disks"),
		abilitySeen("network device", can.Network, "/dev/net/tun", "no partitions, delays or losses between nodes"),
		limitSeen("pipe size", "/proc/sys/fs/pipe-max-size", pipeNeeded, "bytes", "the lossy disk copies what it could move, and is slower", "sysctl -w fs.pipe-max-size=1048576"),
		programSeen(ctx, "java", "-version", "--system rocketmq cannot run", "Debian, Ubuntu: apt-get install openjdk-17-jre-headless"),
		programSeen(ctx, "mvn", "--version", "--system rocketmq needs --rocketmq-home DIR", "Debian, Ubuntu: apt-get install maven"),
		leftoversSeen(),
	}
	for i := range d.Checks {
		if d.Checks[i].State == fine {
			d.Checks[i].Without, d.Checks[i].Fix = "", ""
		}
	}
	return d
}

// stateIf returns fine if ok, else what is wrong.
func stateIf(ok bool, wrong state) state {
	if ok {
		return fine
	}
	return wrong
}

func fsyncSeen(dir string) (result.Host, check) {
	h, err := host.Measure(dir)
	c := check{Name: "fsync", State: stateIf(err == nil && h.FsyncTrusted, limited),
		Found:   fmt.Sprintf("p50 %.3f ms, p99 %.3f ms on %s", h.Fsync.P50, h.Fsync.P99, h.Filesystem),
		Without: "figures of SYNC_FLUSH are not those of a disk", Fix: "give --dir and --out on a disk, not on tmpfs or behind a write cache that lies"}
	if err != nil {
		c.Found = err.Error()
	}
	return h, c
}

func memorySeen() check {
	c := check{Name: "memory", State: limited, Found: "unknown",
		Without: "--system rocketmq, with two brokers and a name server, may be killed by the kernel", Fix: "free or add memory: 6 GiB are enough"}
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return c
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		if kib, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
			c.Found = fmt.Sprintf("%.1f GiB available", float64(kib)/(1<<20))
			c.State = stateIf(kib<<10 >= memoryNeeded, limited)
		}
	}
	return c
}

func freeSeen(dir string) check {
	c := check{Name: "free disk", State: limited, Without: "stores may not fit, which looks like a full disk of a broker", Fix: "free space or choose another --dir and --out: 4 GiB are enough"}
	free, err := host.Free(dir)
	if err != nil {
		c.Found = err.Error()
		return c
	}
	c.State, c.Found = stateIf(free >= freeNeeded, limited), fmt.Sprintf("%.1f GiB", float64(free)/(1<<30))
	return c
}

func filesSeen() check {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return check{Name: "open files", State: limited, Found: err.Error(), Without: "stores with many queues may fail"}
	}
	return check{Name: "open files", State: stateIf(limit.Max >= filesNeeded, limited), Found: fmt.Sprintf("up to %d", limit.Max),
		Without: "stores with many queues and many clients may fail", Fix: fmt.Sprintf("ulimit -Hn %d", filesNeeded)}
}

// clockSeen times the clock that every operation is stamped by: where the kernel must ask a device, that is slow.
func clockSeen() check {
	const reads = 10000
	began := time.Now()
	for range reads {
		_ = time.Now()
	}
	each := time.Since(began) / reads
	source := "unknown"
	if b, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource"); err == nil {
		source = string(bytes.TrimSpace(b))
	}
	return check{Name: "clock", State: stateIf(each < time.Microsecond, limited), Found: fmt.Sprintf("%s, %v a reading", source, each),
		Without: "stamping operations costs more than sending them", Fix: "boot with clocksource=tsc, or another virtual machine type"}
}

// escapes are the colours that Maven uses even on a pipe.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// programTimeout bounds a program that is asked for its version.
const programTimeout = 20 * time.Second

// programSeen runs a program for its version, the first line of what it prints.
func programSeen(ctx context.Context, name, versionFlag, without, fix string) check {
	c := check{Name: name, State: missing, Without: without, Fix: fix}
	program := name
	if home := os.Getenv("JAVA_HOME"); name == "java" && home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(program)
	if err != nil {
		c.Found = "not found"
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, versionFlag).CombinedOutput()
	if err != nil {
		c.Found = fmt.Sprintf("%s %s: %v", path, versionFlag, err)
		return c
	}
	first, _, _ := strings.Cut(escapes.ReplaceAllString(string(out), ""), "\n")
	c.State, c.Found = fine, strings.TrimSpace(first)
	return c
}

func leftoversSeen() check {
	c := check{Name: "killed runs", State: fine, Found: "nothing left", Without: "they take memory, disk and ports", Fix: "holdfast doctor --clean"}
	found, err := leftover.Find()
	switch {
	case err != nil:
		c.State, c.Found = limited, err.Error()
	case !found.None():
		c.State = limited
		c.Found = fmt.Sprintf("left %d processes, %d mounts, %d directories", len(found.Processes), len(found.Mounts), len(found.Directories))
	}
	return c
}
