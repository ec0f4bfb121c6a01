package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/scenarios/cluster"
)

// compileWitness returns the directory of the witness's classes, compiled against the oldest client: the others must run them as they are.
func compileWitness(t *testing.T, oldest *cluster.System) string {
	t.Helper()
	javac, err := exec.LookPath("javac")
	if home := os.Getenv("JAVA_HOME"); home != "" {
		javac, err = exec.LookPath(filepath.Join(home, "bin", "javac"))
	}
	if err != nil {
		t.Skipf("no Java compiler: %v; install one (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless)", err)
	}
	dir := scratch(t, "classes")
	args := append([]string{"-nowarn", "-encoding", "UTF-8", "-cp", oldest.ClassPath(), "-d", dir}, sources(t)...)
	if out, err := exec.Command(javac, args...).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return dir
}

// witness is a virtual machine that runs cases with one version of Apache's client.
type witness struct {
	t      *testing.T
	client string
	cmd    *exec.Cmd
	in     *bufio.Writer
	mu     sync.Mutex
	count  int
	asked  map[string]chan map[string]any
	closed chan struct{}
}

// startWitness starts the witness of a client's version.
func startWitness(t *testing.T, client *cluster.System, classes string) *witness {
	t.Helper()
	home := scratch(t, "home")
	for _, dir := range []string{"conf", "tmp"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "conf", "logback_tools.xml"), []byte(`<configuration><root level="OFF"/></configuration>`), 0o644); err != nil {
		t.Fatal(err)
	}
	argv := client.Client(home, classes)
	argv = append(argv[:1:1], append([]string{"-Drocketmq.client.logRoot=" + home, "-Drocketmq.client.logLevel=WARN",
		"-Drocketmq.client.localOffsetStoreDir=" + home, "-Dfile.encoding=UTF-8"}, argv[1:]...)...)
	cmd := exec.Command(argv[0], append(argv, "Witness")[1:]...)
	log, err := os.Create(filepath.Join(home, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr, cmd.Dir = log, home
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &witness{t: t, client: client.String(), cmd: cmd, in: bufio.NewWriter(stdin), asked: map[string]chan map[string]any{}, closed: make(chan struct{})}
	go w.listen(bufio.NewReader(stdout))
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-w.closed
		_ = cmd.Wait()
		for _, path := range []string{log.Name(), filepath.Join(home, "rocketmq_client.log")} {
			if text, _ := os.ReadFile(path); t.Failed() && len(text) > 0 {
				t.Logf("%s %s:\n%s", client, filepath.Base(path), text[max(0, len(text)-6000):])
			}
		}
	})
	return w
}

// listen takes the lines that the witness writes until it ends. Anything but JSON is a client's own talk.
func (w *witness) listen(out *bufio.Reader) {
	defer close(w.closed)
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			return
		}
		var saw struct {
			ID   string         `json:"id"`
			Case string         `json:"case"`
			MS   int            `json:"ms"`
			Saw  map[string]any `json:"saw"`
		}
		if json.Unmarshal([]byte(line), &saw) != nil {
			continue
		}
		if *timings {
			w.t.Logf("%s %s: %.1f s", w.client, saw.Case, float64(saw.MS)/1000)
		}
		w.mu.Lock()
		answer := w.asked[saw.ID]
		w.mu.Unlock()
		if answer != nil {
			answer <- saw.Saw
		}
	}
}

// begin starts a case; the function that it returns waits for what was seen, at most a minute and a half.
func (w *witness) begin(name string, pairs ...string) func() map[string]any {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	id := strconv.Itoa(w.count)
	answer := make(chan map[string]any, 1)
	w.asked[id] = answer
	fmt.Fprintln(w.in, strings.Join(append([]string{id, name}, pairs...), "\t"))
	if err := w.in.Flush(); err != nil {
		w.t.Fatalf("%s: the witness takes no case: %v", name, err)
	}
	began := time.Now()
	return func() map[string]any {
		select {
		case saw := <-answer:
			return saw
		case <-w.closed:
			return map[string]any{"failed": "the witness ended"}
		case <-time.After(time.Until(began.Add(90 * time.Second))):
			return map[string]any{"failed": "nothing was seen within 90 s"}
		}
	}
}

// run is begin and the wait.
func (w *witness) run(name string, pairs ...string) map[string]any {
	w.t.Helper()
	return w.begin(name, pairs...)()
}
