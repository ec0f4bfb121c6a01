package conformance

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"holdfast/broker/remoting"
	"holdfast/scenarios/cluster"
)

var (
	recordFlag = flag.Bool("record", false, "store what the clients saw as the golden of the system: for Apache's broker of -system alone")
	casesFlag  = flag.String("cases", "", "regular expression of the features to run; with one, docs/compat.md is not compared")
	timings    = flag.Bool("timings", false, "log how long each case took")
	versions   = []string{"4.9.7", "5.5.0"} // of Apache's Java client, the oldest first
	golden550  = filepath.Join("testdata", "apache-5.5.0.json")
	goldenOwn  = filepath.Join("testdata", "reference.json") // what docs/compat.md was written from
)

func selected(name string) bool {
	ok, err := regexp.MatchString(*casesFlag, name)
	return err == nil && ok
}

// sight is what the clients saw of one system.
type sight struct {
	Saw   map[string]map[string]any   `json:"saw"`   // by client and case
	Codes map[string]map[string][]int `json:"codes"` // response codes by client and request code
}

// TestClients runs Apache's clients through every feature and compares what they saw with what they saw of Apache's broker.
func TestClients(t *testing.T) {
	systems := map[string]*cluster.System{}
	var clients []string
	for _, version := range versions {
		sys := prepared(t, "rocketmq:"+version)
		systems["java-"+version] = &sys
		clients = append(clients, "java-"+version)
	}
	classes := compileWitness(t, systems[clients[0]])
	w := startWorld(t, *systemFlag, topics(clients))
	got := sight{Saw: map[string]map[string]any{}, Codes: map[string]map[string][]int{}}
	witnesses := map[string]*witness{}
	for _, client := range clients {
		witnesses[client] = startWitness(t, systems[client], classes)
	}
	var wg sync.WaitGroup
	results := make([]map[string]any, len(clients))
	for i, client := range clients {
		wg.Go(func() { results[i] = javaFeatures(w, witnesses[client], client) })
	}
	if *systemFlag == "reference" && selected("name-servers") {
		wg.Go(javaNameServers(t, witnesses))
	}
	wg.Wait()
	for i, client := range clients {
		got.Saw[client] = results[i]
	}
	readSlave(w, witnesses, got.Saw)
	for _, version := range versions {
		if !selected("mqadmin") {
			break
		}
		got.Saw["mqadmin-"+version] = mqadminCommands(t, w, witnesses["java-"+version], version)
	}
	got.Codes = w.codes()
	judge(t, got)
}

// codes returns the response codes that each client got, by request code.
func (w *world) codes() map[string]map[string][]int {
	all := map[string]map[string][]int{}
	for client := range w.traffic.seen {
		all[client] = map[string][]int{}
		for code, answers := range w.traffic.codes(client) {
			all[client][requestName(code)] = answers
		}
	}
	return all
}

// judge compares with the golden and the page, or stores what was seen as the golden.
func judge(t *testing.T, got sight) {
	t.Helper()
	got = plain(t, got)
	if *recordFlag {
		storeGolden(t, golden550, got)
		return
	}
	want := loadGolden(t, golden550)
	for _, client := range slices.Sorted(maps.Keys(got.Saw)) {
		for _, name := range slices.Sorted(maps.Keys(got.Saw[client])) {
			saw, apache := got.Saw[client][name], want.Saw[client][name]
			if verdict(saw, apache) == differs && differences[name] == "" {
				t.Errorf("%s, %s: saw\n%s\nof Apache's broker\n%s", client, name, indented(saw), indented(apache))
			}
		}
	}
	if *casesFlag == "" || *rewrite {
		holdPage(t, got, want)
	}
}

// plain brings values into the form in which they come back from a file.
func plain(t *testing.T, s sight) (out sight) {
	t.Helper()
	if err := json.Unmarshal(jsonOf(t, s), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func indented(v any) string {
	b, err := json.MarshalIndent(v, "  ", "  ")
	if err != nil {
		return err.Error()
	}
	return "  " + string(b)
}

func loadGolden(t *testing.T, path string) (want sight) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// storeGolden adds what was seen of Apache's broker to its golden.
func storeGolden(t *testing.T, path string, got sight) {
	t.Helper()
	if !strings.HasPrefix(*systemFlag, "rocketmq") {
		t.Fatal("-record needs -system rocketmq:5.5.0: goldens are what Apache's own broker does")
	}
	addTo(t, path, got, true)
}

// addTo adds what was seen to a file, and returns all of it: cases anew, response codes beside those that were seen before, or anew.
func addTo(t *testing.T, path string, got sight, beside bool) sight {
	t.Helper()
	all := sight{Saw: map[string]map[string]any{}, Codes: map[string]map[string][]int{}}
	if _, err := os.Stat(path); err == nil {
		all = loadGolden(t, path)
	}
	for client := range got.Saw {
		if all.Saw[client] == nil {
			all.Saw[client] = map[string]any{}
		}
		maps.Copy(all.Saw[client], got.Saw[client])
	}
	for client := range got.Codes {
		if all.Codes[client] == nil || !beside {
			all.Codes[client] = map[string][]int{}
		}
		for code, answers := range got.Codes[client] {
			both := append(slices.Clone(all.Codes[client][code]), answers...)
			slices.Sort(both)
			all.Codes[client][code] = slices.Compact(both)
		}
	}
	if err := os.WriteFile(path, jsonOf(t, all), 0o644); err != nil {
		t.Fatal(err)
	}
	return all
}

func adminTopic(client string) string { return "Admin_" + mark(client) }

func requestName(code int) string { return remoting.RequestName(int32(code)) }
