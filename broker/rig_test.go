package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// rig drives a node or a name server by hand: time, disk and network do what a test says, and nothing else.
type rig struct {
	t        testing.TB
	machine  stepper
	node     *Node // nil of a name server, as is the store
	store    *store.Store
	fs       vfs.FS
	mono     time.Duration
	out      Output
	write    *store.WriteJob
	sync     *store.SyncJob
	truncate *store.TruncateJob
	opaque   int32
	got      []Reply    // all replies since the last receive
	calls    []Call     // all that were made and not answered
	shipped  []Transfer // all that were made and not taken
	dialed   string     // the address that was to be dialed last
	intakes  map[ConnID]*Intake
}

func rigConfig(role durability.Role, flush durability.FlushType, profile durability.Profile, inSync int) Config {
	cfg := DefaultConfig(profile)
	cfg.Addr = netip.MustParseAddrPort("127.0.0.1:10911")
	cfg.Choice.Role, cfg.Choice.FlushType, cfg.Choice.InSync = role, flush, inSync
	if role != durability.AsyncMaster {
		cfg.HAAddr = netip.MustParseAddrPort("127.0.0.1:10912")
	}
	if role == durability.Slave {
		cfg.BrokerID = 1
	}
	return cfg
}

func newRig(t testing.TB, cfg Config, fs vfs.FS) *rig {
	t.Helper()
	if fs == nil {
		fs = vfs.NewMem()
	}
	r, err := tryRig(t, cfg, fs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tryRig is newRig over files that a node may refuse.
func tryRig(t testing.TB, cfg Config, fs vfs.FS) (*rig, error) {
	t.Helper()
	if err := fs.MkdirAll("config"); err != nil {
		t.Fatal(err)
	}
	st, _, err := store.Open(fs, store.Config{SegmentBytes: 1 << 20, MaxHashSlots: 100, MaxIndexes: 1000, IndexTags: true})
	if err != nil {
		t.Fatal(err)
	}
	node, err := New(cfg, st, fs, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		st.Abandon()
		return nil, err
	}
	return &rig{t: t, machine: node, node: node, store: st, fs: fs, mono: time.Millisecond, intakes: map[ConnID]*Intake{}}, nil
}

func (r *rig) now() Instant {
	return Instant{Mono: r.mono, Wall: 1_700_000_000_000 + r.mono.Milliseconds()}
}

// step hands one event to the node and keeps the jobs that come out; saves and aux jobs are done at once.
func (r *rig) step(ev *Event) string {
	r.machine.Step(r.now(), ev, &r.out)
	return r.collect()
}

// collect keeps what came out of a Step.
func (r *rig) collect() string {
	trace := r.trace(&r.out)
	r.got = append(r.got, r.out.Replies...)
	r.calls = append(r.calls, r.out.Calls...)
	r.shipped = append(r.shipped, r.out.Replica...)
	if r.out.ReplicaDial != "" {
		r.dialed = r.out.ReplicaDial
	}
	if r.out.Truncate != nil {
		r.truncate = r.out.Truncate
	}
	if r.out.Write != nil {
		r.write = r.out.Write
	}
	if r.out.Sync != nil {
		r.sync = r.out.Sync
	}
	saves, aux := append([]Save(nil), r.out.Saves...), r.out.Aux
	loads := append([]*store.LoadJob(nil), r.out.Loads...)
	for _, s := range saves {
		trace += r.step(&Event{Kind: KindSaved, Name: s.Name, Err: vfs.WriteFile(r.fs, s.Name, s.Bytes)})
	}
	for _, job := range loads {
		job.Run() // the node learns the outcome from the job
		trace += r.step(&Event{Kind: KindLoaded, Load: job})
	}
	if aux != nil {
		trace += r.step(&Event{Kind: KindAuxDone, Err: aux.Run()})
	}
	return trace
}

func (r *rig) written() string {
	if r.write == nil {
		return "no write is outstanding\n"
	}
	job := r.write
	r.write = nil
	return r.step(&Event{Kind: KindWritten, Err: job.Run()})
}

func (r *rig) synced(err error) string {
	if r.sync == nil {
		return "no sync is outstanding\n"
	}
	job := r.sync
	r.sync = nil
	if err == nil {
		err = job.Run()
	}
	return r.step(&Event{Kind: KindSynced, Err: err})
}

func (r *rig) receive(c ConnID, frames []byte) string {
	in := r.intakes[c]
	if in == nil {
		in = r.machine.Intake("127.0.0.1:50000")
		r.intakes[c] = in
	}
	requests, n, err := in.Decode(frames)
	if err != nil || n != len(frames) {
		r.t.Fatalf("decode: %d of %d bytes, %v", n, len(frames), err)
	}
	r.got = nil
	trace := r.step(&Event{Kind: KindReceived, Conn: c, Requests: requests})
	in.Reset()
	return trace
}

func (r *rig) frame(code int32, fields func(*remoting.Writer), body []byte) []byte {
	r.opaque++
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: r.opaque, Version: remoting.Version, Language: remoting.Go})
	if fields != nil {
		fields(&w)
	}
	return w.Finish(body)
}

func (r *rig) sendFrame(topic string, queueID int32, props, body string) []byte {
	return r.sendFrameOf(remoting.RequestSendMessageV2, topic, queueID, props, body)
}

func (r *rig) sendFrameOf(code int32, topic string, queueID int32, props, body string) []byte {
	h := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte(topic), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 4,
		QueueID: queueID, Properties: []byte(props), MaxReconsumeTimes: remoting.NoLimit, BornTimestamp: 1}
	return r.frame(code, func(w *remoting.Writer) { h.Append(w, code) }, []byte(body))
}

func (r *rig) pullFrame(topic string, queueID int32, from int64, suspend time.Duration, tags string) []byte {
	h := remoting.PullHeader{ConsumerGroup: []byte("g"), Topic: []byte(topic), QueueID: queueID, QueueOffset: from, MaxMsgNums: 32,
		SysFlag: remoting.PullSubscription, Subscription: []byte(tags), SuspendTimeoutMS: suspend.Milliseconds()}
	if suspend > 0 {
		h.SysFlag |= remoting.PullSuspend
	}
	return r.frame(remoting.RequestPullMessage, h.Append, nil)
}

// trace writes what a Step decided, a line each.
func (r *rig) trace(out *Output) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if out.Halt != nil {
		line("halt: %v", out.Halt)
	}
	if out.Write != nil {
		line("write up to %d", out.Write.Upto)
	}
	if out.Sync != nil {
		line("sync up to %d", out.Sync.Upto)
	}
	for i := range out.Replies {
		line("%s", r.describe(&out.Replies[i]))
	}
	for _, t := range out.Replica {
		size := 0
		for _, g := range t.Ranges {
			size += g.Len
		}
		line("replica %d: header %x, %d bytes of the log", t.Conn, t.Header[:t.Len], size)
	}
	for _, c := range out.ReplicaClose {
		line("replica %d: close", c)
	}
	if out.ReplicaDial != "" {
		line("dial %s", out.ReplicaDial)
	}
	for _, c := range out.Calls {
		f, _, _ := remoting.Decode(c.Frame)
		line("call %d %s %s", c.ID, c.Addr, f.CodeName())
	}
	for _, s := range out.Saves {
		line("save %s", s.Name)
	}
	if out.Stopped {
		line("stopped")
	}
	for _, n := range out.Notes {
		line("note: %s", n.Text)
	}
	return b.String()
}

// propertyMarks makes properties readable.
var propertyMarks = strings.NewReplacer("\x01", "=", "\x02", ";")

// describe writes one reply as a line.
func (r *rig) describe(reply *Reply) string {
	raw, err := r.machine.AppendReply(nil, reply)
	if err != nil {
		return "reply: " + err.Error()
	}
	f, _, err := remoting.Decode(raw)
	if err != nil {
		return "reply: " + err.Error()
	}
	head := fmt.Sprintf("%d <- #%d %s", reply.Conn, f.Opaque, f.CodeName())
	for field, rest, ok := f.Ext.Next(); ok; field, rest, ok = rest.Next() {
		head += fmt.Sprintf(" %s=%s", field.Key, propertyMarks.Replace(string(field.Text())))
	}
	if len(f.Remark) > 0 {
		head += fmt.Sprintf(" %q", f.Remark)
	}
	if f.Code == remoting.RequestConsumeMessageDirectly && !f.IsResponse() {
		record, _, err := message.Decode(f.Body, true)
		return fmt.Sprintf("%s [%d %s] %v", head, record.QueueOffset, record.Body, err)
	}
	if reply.Kind != ReplyPull {
		if len(f.Body) > 0 {
			head += " " + string(f.Body)
		}
		return head
	}
	for body := f.Body; len(body) > 0; {
		record, n, err := message.Decode(body, true)
		if err != nil {
			return head + " " + err.Error()
		}
		head += fmt.Sprintf(" [%d %s]", record.QueueOffset, record.Body)
		body = body[n:]
	}
	return head
}

// slave is what a slave's connection does to a master.
func (r *rig) slave(kind replica.Kind, id replica.ConnID, data []byte) string {
	return r.step(&Event{Kind: KindReplica, Replica: replica.Event{Kind: kind, Conn: id, Addr: "127.0.0.1:60000", Data: data}})
}

var errDisk = errors.New("input/output error")
