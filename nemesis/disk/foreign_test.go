package disk

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestForeignWriters cuts the power of processes that are not Go's: each writes records through a mapping and by write,
// and forces some of them one by one. What it forced is there after the cut, to the byte, and what it did not is gone.
func TestForeignWriters(t *testing.T) {
	for _, lang := range []struct {
		name  string
		start func(t *testing.T) []string // the command, to which the arguments are added
	}{
		{"C", compiledC}, {"Java", javaSource},
	} {
		t.Run(lang.name, func(t *testing.T) {
			const record, length, forced, lost = 1000, 1 << 20, 23, 10
			r := newRig(t, Config{})
			argv := lang.start(t)
			if err := r.c.Mount("a", r.backing("a"), r.mount("a"), -1); err != nil {
				t.Fatal(err)
			}
			r.startForeign("a", append(argv, r.mount("a"), strconv.Itoa(forced), strconv.Itoa(lost)))
			impact := r.cut("a")["a"]
			there := strings.Repeat("f", forced*record)
			want := map[string]string{"mapped": there + strings.Repeat("\x00", length-len(there)), "written": there}
			if msg := explain(tree(t, r.backing("a")), want); msg != "" {
				t.Error(msg)
			}
			if impact.BytesLost != 2*lost*record || impact.KernelBytes == 0 {
				t.Errorf("%+v, want %d bytes lost, those of the mapping in the kernel's cache", impact, 2*lost*record)
			}
			for _, path := range []string{"mapped", "written"} {
				if got := impact.Predicted(path); got != lost*record {
					t.Errorf("%s: %d bytes predicted, want %d", path, got, lost*record)
				}
			}
		})
	}
}

func compiledC(t *testing.T) []string {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler: ", err)
	}
	program := filepath.Join(t.TempDir(), "records")
	if out, err := exec.Command(cc, "-o", program, "testdata/records.c").CombinedOutput(); err != nil {
		t.Skipf("the C compiler does not work here: %v: %s", err, out)
	}
	return []string{program}
}

func javaSource(t *testing.T) []string {
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("no Java: ", err)
	}
	source, err := filepath.Abs("testdata/Records.java")
	if err != nil {
		t.Fatal(err)
	}
	return []string{java, "-XX:TieredStopAtLevel=1", "-Xshare:auto", source}
}

// startForeign starts a program on node's disk and waits until it says that it is ready.
func (r *rig) startForeign(node string, argv []string) {
	r.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.hands[node] = &hand{cmd: cmd, in: nopCloser{}}
	if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "ready" {
		r.t.Fatalf("%s said %q, %s", argv[0], lines.Text(), complaints.String())
	}
}

type nopCloser struct{}

func (nopCloser) Write(p []byte) (int, error) { return len(p), nil }
func (nopCloser) Close() error                { return nil }
