package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/reports/result"
)

// archiveJava is the first Java whose class-data sharing takes classes of the class path without further options.
const archiveJava = 17

// archiveLimit bounds how long the archive may take to make.
const archiveLimit = 3 * time.Minute

// classListFile is where a node below its home lists the classes that it loaded.
const classListFile = "classes.lst"

// shareClasses makes, once a version and Java, an archive of the classes that a group loads: with it a broker of 5.5.0 starts in 1.1 s
// instead of 2.1 s and needs half of the processor time. A Java that cannot, or a group that does not start, leaves the JVMs without
// it: they start all the same.
func (s *System) shareClasses(ctx context.Context, progress io.Writer) {
	if s.java.major < archiveJava {
		return
	}
	path := filepath.Join(filepath.Dir(s.java.jars), fmt.Sprintf("classes-%d.jsa", s.java.major))
	if _, err := os.Stat(path); err == nil {
		s.java.archive = path
		return
	}
	fmt.Fprintf(progress, "%s: archiving its classes, so that nodes start in half of the time (some 30 s, once) ...\n", s)
	ctx, cancel := context.WithTimeout(ctx, archiveLimit)
	defer cancel()
	if err := s.archiveClasses(ctx, path); err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(progress, "%s: goes on without an archive of its classes: %s\n", s, reason)
		return
	}
	s.java.archive = path
}

// archiveClasses starts a group, takes the list of what it loaded, and has Java archive that to path, complete or not at all.
func (s *System) archiveClasses(ctx context.Context, path string) error {
	work, err := os.MkdirTemp("", "holdfast-classes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	list := filepath.Join(work, classListFile)
	if err := s.listClasses(ctx, work, list); err != nil {
		return err
	}
	half := path + fmt.Sprintf(".%d", os.Getpid())
	defer os.Remove(half)
	cmd := exec.CommandContext(ctx, s.java.program, "-Xshare:dump", "-XX:SharedClassListFile="+list, "-XX:SharedArchiveFile="+half,
		"-cp", filepath.Join(s.java.jars, "*"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("java -Xshare:dump: %w: %s", err, lastOf(string(out)))
	}
	return os.Rename(half, path)
}

// listClasses writes what a master, its slave and their name server loaded by the time they were ready.
func (s *System) listClasses(ctx context.Context, work, list string) error {
	g, err := New(*s, result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"},
		Options{Dir: work, Brief: true, listClasses: true, Topics: []Topic{{Name: "classes", Queues: 1}}})
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.Start(ctx); err != nil {
		return err
	}
	if err := g.Close(); err != nil {
		return err
	}
	var classes []string
	seen := map[string]bool{}
	for _, n := range g.Nodes() {
		text, err := os.ReadFile(filepath.Join(n.Home, classListFile))
		if err != nil {
			return err
		}
		lines := strings.SplitAfter(string(text), "\n")
		for _, line := range lines[:len(lines)-1] { // the last may have been cut by the kill
			if !seen[line] {
				seen[line] = true
				classes = append(classes, line)
			}
		}
	}
	return os.WriteFile(list, []byte(strings.Join(classes, "")), 0o644)
}

// lastOf is the last line of a program's output, as far as it fits an error.
func lastOf(out string) string {
	lines := slices.DeleteFunc(strings.Split(out, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	if len(lines) == 0 {
		return "it said nothing"
	}
	last := lines[len(lines)-1]
	return last[:min(len(last), 300)]
}
