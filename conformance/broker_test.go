package conformance

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// server is the reference broker as a process, with its name server inside.
type server struct {
	cmd             *exec.Cmd
	stdout          io.ReadCloser
	namesrv, broker string
}

// executable returns the path of the binary under test: HOLDFAST_BIN, or one built for this run.
var executable = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("HOLDFAST_BIN"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "holdfast-conformance-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "holdfast")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir, cmd.Stderr = "..", os.Stderr
	return path, cmd.Run()
})

// built is the directory of the binary that was built for this run; TestMain removes it.
var built string

var ready = regexp.MustCompile(`^ready namesrv=(\S+) broker=(\S+)`)

// start starts the broker over a store directory and waits until it accepts clients. The broker ends with the test.
func start(t *testing.T, store string) *server {
	t.Helper()
	s, m := launch(t, ready, "broker", "--standalone", "--listen", "127.0.0.1:0", "--store", store)
	s.namesrv, s.broker = m[1], m[2]
	return s
}

// launch starts the command with the arguments, which ends with the test, and returns it with what the first line that it prints matches.
func launch(t *testing.T, line *regexp.Regexp, args ...string) (*server, []string) {
	t.Helper()
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: exec.Command(path, args...)}
	s.cmd.Stderr = os.Stderr
	if s.stdout, err = s.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	first, err := bufio.NewReader(s.stdout).ReadString('\n')
	m := line.FindStringSubmatch(first)
	if err != nil || m == nil {
		t.Fatalf("first line of %q: %q, %v", args, first, err)
	}
	return s, m
}

// stop ends the broker as an operator does, and errs unless it ends well within 10 s. A second call does nothing.
func (s *server) stop() error {
	if s.cmd.ProcessState != nil {
		return nil
	}
	late := time.AfterFunc(10*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	return errors.Join(s.cmd.Process.Signal(syscall.SIGTERM), s.cmd.Wait())
}

// createTopic makes a topic with that many queues.
func (s *server) createTopic(t *testing.T, topic string, queues int) {
	t.Helper()
	a, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{s.namesrv})))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	err = a.CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(s.broker),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues))
	if err != nil {
		t.Fatal(err)
	}
}

// inbox collects deliveries.
type inbox struct {
	mu   sync.Mutex
	came *sync.Cond
	msgs []delivery
}

// delivery is a message and the consumer that got it.
type delivery struct {
	*primitive.MessageExt
	consumer string
	at       time.Time
}

func newInbox() *inbox {
	in := &inbox{}
	in.came = sync.NewCond(&in.mu)
	return in
}

func (in *inbox) put(consumer string, msgs ...*primitive.MessageExt) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range msgs {
		in.msgs = append(in.msgs, delivery{m, consumer, time.Now()})
	}
	in.came.Broadcast()
}

// wait returns all deliveries once there are n of them.
func (in *inbox) wait(t *testing.T, n int, within time.Duration) []delivery {
	t.Helper()
	return in.waitFor(t, within, func(msgs []delivery) bool { return len(msgs) >= n })
}

// waitFor returns all deliveries once they are enough.
func (in *inbox) waitFor(t *testing.T, within time.Duration, enough func([]delivery) bool) []delivery {
	t.Helper()
	over := false
	late := time.AfterFunc(within, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		over = true
		in.came.Broadcast()
	})
	defer late.Stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	for !enough(in.msgs) {
		if over {
			t.Fatalf("%d messages within %v are not enough", len(in.msgs), within)
		}
		in.came.Wait()
	}
	return slices.Clone(in.msgs)
}
