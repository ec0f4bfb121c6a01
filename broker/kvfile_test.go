package broker

import (
	"errors"
	"strings"
	"testing"

	"holdfast/broker/remoting"
	"holdfast/broker/route"
	"holdfast/broker/vfs"
)

// namesRig drives a name server by hand.
type namesRig struct {
	t     *testing.T
	names *NameServer
	out   Output
}

func (r *namesRig) step(ev *Event) string {
	r.names.Step(Instant{Mono: 1}, ev, &r.out)
	var lines []string
	for _, reply := range r.out.Replies {
		f, _, err := remoting.Decode(reply.Frame)
		if err != nil {
			r.t.Fatal(err)
		}
		value, _ := f.Ext.Get("value")
		lines = append(lines, strings.TrimSpace(f.CodeName()+" "+string(value)+string(f.Body)))
	}
	for _, s := range r.out.Saves {
		lines = append(lines, "save "+s.Name+" "+string(s.Bytes))
	}
	return strings.Join(lines, "; ")
}

func (r *namesRig) request(code int32, pairs ...string) string {
	w := remoting.Begin(nil, &remoting.Frame{Code: code})
	for i := 0; i < len(pairs); i += 2 {
		w.String(pairs[i], pairs[i+1])
	}
	in := r.names.Intake("")
	requests, _, err := in.Decode(w.Finish(nil))
	if err != nil {
		r.t.Fatal(err)
	}
	return r.step(&Event{Kind: KindReceived, Conn: 1, Requests: requests})
}

// TestNameServerKeepsItsTable changes the KV table: who changes it is answered when the file holds the change, changes beside a save
// share the next one, and the next process has what was saved.
func TestNameServerKeepsItsTable(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("config"); err != nil {
		t.Fatal(err)
	}
	names, err := NewNameServer(route.DefaultConfig(), fs)
	if err != nil {
		t.Fatal(err)
	}
	r := &namesRig{t: t, names: names}
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	check("put", r.request(remoting.RequestPutKVConfig, "namespace", "n", "key", "a", "value", "1"), `save kvConfig.json {"configTable":{"n":{"a":"1"}}}`)
	check("put beside a save", r.request(remoting.RequestPutKVConfig, "namespace", "m", "key", "b", "value", "2"), "")
	check("delete beside it", r.request(remoting.RequestDeleteKVConfig, "namespace", "n", "key", "a"), "")
	check("get", r.request(remoting.RequestGetKVConfig, "namespace", "m", "key", "b"), "SUCCESS 2")
	last := `{"configTable":{"m":{"b":"2"}}}`
	check("saved", r.step(&Event{Kind: KindSaved, Name: kvName}), "SUCCESS; save kvConfig.json "+last)
	check("stop waits", r.step(&Event{Kind: KindStop}), "")
	if r.out.Stopped {
		t.Error("stopped before the save has ended")
	}
	check("saved again", r.step(&Event{Kind: KindSaved, Name: kvName}), "SUCCESS; SUCCESS")
	if !r.out.Stopped {
		t.Error("not stopped after the save")
	}

	if err := vfs.WriteFile(fs, kvName, []byte(last)); err != nil {
		t.Fatal(err)
	}
	if r.names, err = NewNameServer(route.DefaultConfig(), fs); err != nil {
		t.Fatal(err)
	}
	check("after a restart", r.request(remoting.RequestGetKVConfig, "namespace", "m", "key", "b"), "SUCCESS 2")
	if err := vfs.WriteFile(fs, kvName, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := NewNameServer(route.DefaultConfig(), fs); !errors.Is(err, remoting.ErrBody) || !strings.Contains(err.Error(), kvName) {
		t.Errorf("a damaged file: got %v", err)
	}
}
