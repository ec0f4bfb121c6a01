package disk

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestJava cuts the power of a Java process that writes through a mapping and through a channel, and forces half of it.
func TestJava(t *testing.T) {
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("no java: ", err)
	}
	source, err := filepath.Abs("testdata/Mapped.java")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Config{})
	if err := r.c.Mount("a", r.backing("a"), r.mount("a"), -1); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(java, "-XX:TieredStopAtLevel=1", "-Xshare:auto", source, r.mount("a"))
	cmd.Dir = "/"
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.hands["a"] = &hand{cmd: cmd, in: nopCloser{}}
	if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("java said %q, %s", lines.Text(), complaints.String())
	}
	impact := r.cut("a")["a"]
	const forced, gone = "f", "\x00"
	want := map[string]string{
		"mapped":  strings.Repeat(forced, pageSize) + strings.Repeat(gone, 255*pageSize),
		"written": strings.Repeat(forced, pageSize),
	}
	if msg := explain(tree(t, r.backing("a")), want); msg != "" {
		t.Error(msg)
	}
	if impact.BytesLost != 2*pageSize || impact.KernelBytes == 0 {
		t.Errorf("%+v, want two pages lost, the mapped one in the kernel's cache", impact)
	}
}

type nopCloser struct{}

func (nopCloser) Write(p []byte) (int, error) { return len(p), nil }
func (nopCloser) Close() error                { return nil }
