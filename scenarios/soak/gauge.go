package soak

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"holdfast/scenarios"
)

// sample is one look at one process.
type sample struct {
	At         float64 `json:"at"` // s since the soak began
	Node       string  `json:"node"`
	Life       int     `json:"life"`       // of the node: 1 is its first process
	Age        float64 `json:"age"`        // s since the process was first seen
	Anonymous  int64   `json:"anonymous"`  // bytes resident
	File       int64   `json:"file"`       // bytes resident
	Threads    int     `json:"threads"`    //
	Open       int     `json:"open"`       // files and sockets, without those of the store
	StoreOpen  int     `json:"storeOpen"`  // files of the store that are open, each descriptor counted
	StoreFiles int     `json:"storeFiles"` // files of the store that there are
	Goroutines int     `json:"goroutines"` // -1: not measured
}

// gauge looks at every process of the group.
type gauge struct {
	of      scenarios.Processes
	began   time.Time
	file    *os.File
	out     *bufio.Writer
	lives   map[string]*life
	samples []sample
	client  http.Client
	err     error // the first failure to write
}

// life is the present process of a node.
type life struct {
	pid, number int
	began       time.Time
}

func newGauge(path string, of scenarios.Processes) (*gauge, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &gauge{of: of, began: time.Now(), file: file, out: bufio.NewWriter(file), lives: map[string]*life{}, client: http.Client{Timeout: 2 * time.Second}}, nil
}

// look measures every process that runs.
func (g *gauge) look() {
	running := g.of.Processes()
	for _, node := range slices.Sorted(maps.Keys(running)) {
		p := running[node]
		l := g.lives[node]
		if l == nil {
			l = &life{}
			g.lives[node] = l
		}
		if l.pid != p.PID {
			l.pid, l.number, l.began = p.PID, l.number+1, time.Now()
		}
		s, err := g.measure(p)
		if err != nil {
			continue // it has ended meanwhile: the next look sees the next one
		}
		s.At, s.Node, s.Life, s.Age = time.Since(g.began).Seconds(), node, l.number, time.Since(l.began).Seconds()
		g.samples = append(g.samples, s)
		g.err = errors.Join(g.err, json.NewEncoder(g.out).Encode(s))
	}
}

// measure looks at one process.
func (g *gauge) measure(p scenarios.Process) (s sample, err error) {
	proc, err := procfs.NewProc(p.PID)
	if err != nil {
		return s, err
	}
	status, err := proc.NewStatus()
	if err != nil {
		return s, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return s, err
	}
	targets, err := proc.FileDescriptorTargets()
	if err != nil {
		return s, err
	}
	s.Anonymous, s.File, s.Threads = int64(status.RssAnon), int64(status.RssFile), stat.NumThreads
	for _, target := range targets {
		if p.Store != "" && strings.HasPrefix(target, p.Store+"/") {
			s.StoreOpen++
		} else {
			s.Open++
		}
	}
	if p.Store != "" {
		s.StoreFiles = filesBelow(p.Store)
	}
	s.Goroutines = g.goroutines(p.Metrics)
	return s, nil
}

// filesBelow counts the files of a directory tree that changes meanwhile.
func filesBelow(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error { // what has gone meanwhile does not count
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

// goroutinesMetric is the name under which the Go runtime's collector counts them.
const goroutinesMetric = "go_goroutines "

// goroutines asks a node's metrics; -1 when it has none or does not answer.
func (g *gauge) goroutines(address string) int {
	if address == "" {
		return -1
	}
	answer, err := g.client.Get("http://" + address + "/metrics")
	if err != nil {
		return -1
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), goroutinesMetric); ok {
			if n, err := strconv.ParseFloat(text, 64); err == nil {
				return int(n)
			}
		}
	}
	return -1
}

// String is the last look, in a line.
func (g *gauge) String() string {
	var parts []string
	for _, node := range slices.Sorted(maps.Keys(g.lives)) {
		for i := len(g.samples) - 1; i >= 0; i-- {
			if s := &g.samples[i]; s.Node == node {
				parts = append(parts, fmt.Sprintf("%s %.1f MiB, %d files, %s goroutines", node, mib(s.Anonymous), s.Open+s.StoreOpen, orNone(s.Goroutines)))
				break
			}
		}
	}
	return strings.Join(parts, "; ")
}

func orNone(n int) string {
	if n < 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// close writes out what is left.
func (g *gauge) close() error { return errors.Join(g.err, g.out.Flush(), g.file.Close()) }
