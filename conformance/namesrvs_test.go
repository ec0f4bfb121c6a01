package conformance

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

var readyAt = regexp.MustCompile(`^ready (?:namesrv|broker)=(\S+)`)

// startNode starts the command with the arguments, and returns it with the address that it is ready at.
func startNode(t *testing.T, args ...string) (*server, string) {
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
	line, err := bufio.NewReader(s.stdout).ReadString('\n')
	m := readyAt.FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("first line of %q: %q, %v", args, line, err)
	}
	return s, m[1]
}

// Two name servers know nothing of each other. The broker registers with both; when one ends, clients that were there go on, and new
// ones, who do not know which one is left, find their way.
func TestOneOfTwoNameServersEnds(t *testing.T) {
	t.Parallel()
	first, one := startNode(t, "namesrv", "--listen", "127.0.0.1:0")
	_, two := startNode(t, "namesrv", "--listen", "127.0.0.1:0")
	conf := filepath.Join(t.TempDir(), "broker.conf")
	text := fmt.Sprintf("brokerName=broker-a\nbrokerIP1=127.0.0.1\nlistenPort=0\nhaListenPort=0\nstorePathRootDir=%s\n", t.TempDir())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, addr := startNode(t, "broker", "-c", conf, "-n", one+";"+two)
	(&server{namesrv: two, broker: addr}).createTopic(t, "Both", 1)
	for _, ns := range []string{one, two} { // each alone has the route
		send(t, startProducer(t, &server{namesrv: ns}), primitive.NewMessage("Both", []byte("by "+ns)))
	}
	both := func(name string) rocketmq.Producer {
		p, err := rocketmq.NewProducer(producer.WithNameServer([]string{one, two}), producer.WithGroupName("producers"),
			producer.WithInstanceName(name+one), producer.WithRetry(0))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Shutdown() })
		return p
	}
	old := both("old")
	send(t, old, primitive.NewMessage("Both", []byte("before")))
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	send(t, old, primitive.NewMessage("Both", []byte("after")))
	send(t, both("new"), primitive.NewMessage("Both", []byte("a new client")))
	in := newInbox()
	startPush(t, &server{namesrv: two}, "both", "c1", "Both", "*", in)
	if got := once(in.wait(t, 5, 30*time.Second)); len(got) != 5 {
		t.Errorf("consumed %q", got)
	}
}
