package cluster

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/reports/result"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestConfigurations holds what every node of every kind of group is configured by against testdata/configurations.txt.
func TestConfigurations(t *testing.T) {
	var out strings.Builder
	for _, row := range []struct {
		system   string
		contract result.Contract
		promote  bool
	}{
		{"reference", result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}, false},
		{"reference", result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "SYNC_FLUSH", InSyncReplicas: 2}, false},
		{"rocketmq:5.5.0", result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 1}, false},
		{"rocketmq:5.5.0", result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "SYNC_FLUSH", InSyncReplicas: 2, SlaveFlushDiskType: "ASYNC_FLUSH"}, false},
		{"rocketmq:5.5.0", result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}, true},
		{"rocketmq:4.9.7", result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}, false},
		{"rocketmq:4.9.7", result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}, true},
	} {
		sys, err := ParseSystem(row.system)
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(sys, row.contract, Options{Dir: "/run", Site: atHome{}})
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("# " + row.system + ", " + row.contract.String())
		if row.promote {
			out.WriteString(", a-1 promoted")
			g.swap(g.Node("a-1"))
		}
		for _, n := range g.Brokers() {
			out.WriteString("\n## " + n.Name + "\n" + g.brokerSettings(n).String())
		}
		out.WriteString("\n")
	}
	golden := filepath.Join("testdata", "configurations.txt")
	if *rewrite {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("configurations differ from %s; -rewrite to see how in the diff:\n%s", golden, &out)
	}
}

func TestSettingsDigest(t *testing.T) {
	contract := result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}
	var digests []string
	for _, dir := range []string{t.TempDir(), t.TempDir()} {
		sys, _ := ParseSystem("reference")
		g, err := New(sys, contract, Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(g.Settings())
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, string(text))
	}
	if digests[0] != digests[1] {
		t.Errorf("two runs of one configuration differ:\n%s\n%s", digests[0], digests[1])
	}
	for _, part := range []string{`"a-0.inSyncReplicas":"2"`, `"a-0.flushDiskType":"ASYNC_FLUSH"`, `"a-1.brokerRole":"SLAVE"`, `"system":"reference:rocketmq-5"`} {
		if !strings.Contains(digests[0], part) {
			t.Errorf("the settings %s lack %s", digests[0], part)
		}
	}
}

func TestSettings(t *testing.T) {
	s := Settings{{"a", "1"}, {"b", "2"}, {"a", "3"}}
	if got := s.Get("a"); got != "3" {
		t.Errorf("a: got %q, want the later line", got)
	}
	if got := s.Get("c"); got != "" {
		t.Errorf("c: got %q, want nothing", got)
	}
	if got, want := s.String(), "a=1\nb=2\na=3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSeed(t *testing.T) {
	dir := t.TempDir()
	g := &Group{opt: Options{Topics: []Topic{{"one", 4}, {"two", 1}}}}
	if err := g.Seed(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "config", "topics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		TopicConfigTable map[string]struct {
			TopicName                           string
			ReadQueueNums, WriteQueueNums, Perm int
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	one := got.TopicConfigTable["one"]
	if len(got.TopicConfigTable) != 2 || one.TopicName != "one" || one.ReadQueueNums != 4 || one.WriteQueueNums != 4 || one.Perm != 6 {
		t.Errorf("got %+v", got)
	}
}

// atHome puts every node on 127.0.0.1 at RocketMQ's own ports.
type atHome struct{}

func (atHome) Addr(string) netip.Addr { return localhost }
func (atHome) NetNS(string) *os.File  { return nil }
