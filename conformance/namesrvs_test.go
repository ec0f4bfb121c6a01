package conformance

import (
	"fmt"
	"os"
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
	s, m := launch(t, readyAt, args...)
	return s, m[1]
}

// twoNameServers starts two name servers that know nothing of each other, and a broker that registers with both.
func twoNameServers(t *testing.T, brokerName string) (first *server, one, two, broker string) {
	t.Helper()
	first, one = startNode(t, "namesrv", "--listen", "127.0.0.1:0")
	_, two = startNode(t, "namesrv", "--listen", "127.0.0.1:0")
	conf := filepath.Join(t.TempDir(), "broker.conf")
	text := fmt.Sprintf("brokerName=%s\nbrokerIP1=127.0.0.1\nlistenPort=0\nhaListenPort=0\nstorePathRootDir=%s\n", brokerName, t.TempDir())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, broker = startNode(t, "broker", "-c", conf, "-n", one+";"+two)
	return first, one, two, broker
}

// javaNameServers has Apache's Java clients go on when one of two name servers ends, and new clients, who do not know which one is left,
// find their way. What is returned runs beside their other cases.
func javaNameServers(t *testing.T, witnesses map[string]*witness) func() {
	t.Helper()
	first, one, two, addr := twoNameServers(t, "a")
	for client := range witnesses {
		(&server{namesrv: two, broker: addr}).createTopic(t, "Both_"+mark(client), 1)
	}
	return func() {
		// Where a client may have asked the one that is gone first, it is to find the other one at its next attempts.
		each := func(attempts int, what, group, names, want string, more ...string) {
			for client, j := range witnesses {
				var got string
				for range attempts {
					if got = fmt.Sprint(j.run(what, append([]string{"ns=" + names, "broker=a", "topic=Both_" + mark(client), "group=" + group + mark(client), "queues=1"}, more...)...)); got == want {
						break
					}
				}
				if got != want {
					t.Errorf("%s, %s %s%q at name servers %s: got %.200s, want %s", client, what, group, more, names, got, want)
				}
			}
		}
		const sent, all, stopped = "map[sent:1]", "map[bodies:[0 1 2 3 4]]", "map[]"
		each(1, "send", "", one, sent, "first=0", "count=1") // each alone has the route
		each(1, "send", "", two, sent, "first=1", "count=1")
		each(1, "send", "", one+";"+two, sent, "first=2", "count=1")
		each(1, "start", "old-", one+";"+two, "map[bodies:[0 1 2]]", "count=3")
		if err := first.stop(); err != nil {
			t.Error(err)
		}
		each(1, "send", "", one+";"+two, sent, "first=3", "count=1") // by the producer that is there
		each(1, "send", "", two+";"+one, sent, "first=4", "count=1") // by a new one
		each(1, "await", "old-", one+";"+two, all, "count=5")
		each(3, "start", "new-", one+";"+two, all, "count=5")
		each(1, "stop", "old-", one+";"+two, stopped)
		each(1, "stop", "new-", one+";"+two, stopped)
	}
}

// When one of two name servers ends, clients that were there go on, and new ones, who do not know which one is left, find their way.
func TestOneOfTwoNameServersEnds(t *testing.T) {
	t.Parallel()
	first, one, two, addr := twoNameServers(t, "broker-a")
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
