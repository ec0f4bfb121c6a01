package broker

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
)

var rewrite = flag.Bool("rewrite", false, "write the traces of testdata anew")

// TestScripts plays the scripts of testdata: lines that begin without a space are commands, the others are the trace.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("trace differs (-want +got):\n%s", diff)
			}
			if again := play(t, string(want)); again != got {
				t.Error("a second run gives another trace: Step is not deterministic")
			}
		})
	}
}

func play(t *testing.T, script string) string {
	var b strings.Builder
	var r *rig
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(line, " ") {
			continue
		}
		b.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		trace := ""
		if words[0] == "node" {
			r, trace = scriptNode(t, words[1:])
		} else {
			trace = r.command(words)
		}
		for _, l := range strings.Split(strings.TrimRight(trace, "\n"), "\n") {
			if l != "" {
				b.WriteString("    " + l + "\n")
			}
		}
	}
	return b.String()
}

// scriptNode makes the node of a line such as: node SYNC_MASTER ASYNC_FLUSH rocketmq-5 inSync=2 namesrv=n1
func scriptNode(t *testing.T, words []string) (*rig, string) {
	cfg := rigConfig(durability.Role(words[0]), durability.FlushType(words[1]), durability.Profile(words[2]), 1)
	for _, w := range words[3:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "inSync":
			cfg.Choice.InSync, _ = strconv.Atoi(value)
		case "namesrv":
			cfg.NameServers = append(cfg.NameServers, value)
		case "pool":
			cfg.Choice.TransientPool = true
		case "conf":
			cfg.ConfKept = true
		case "inMemory":
			cfg.InMemoryBytes, _ = strconv.ParseInt(value, 10, 64)
		case "slaveRead":
			cfg.SlaveReadEnable = true
		default:
			t.Fatalf("node: what is %s?", w)
		}
	}
	r := newRig(t, cfg, nil)
	return r, r.step(&Event{Kind: KindWoke})
}

// command plays one line.
func (r *rig) command(words []string) string {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(arg(i), 10, 64)
		return n
	}
	topic, queue, _ := strings.Cut(arg(2), "/")
	q, _ := strconv.Atoi(queue)
	conn := ConnID(number(1))
	switch words[0] {
	case "send", "send-reply": // send CONN TOPIC/QUEUE BODY [PROPERTY=VALUE]...
		props := ""
		for _, w := range words[min(4, len(words)):] {
			props += strings.Replace(w, "=", "\x01", 1) + "\x02"
		}
		if words[0] == "send-reply" {
			return r.receive(conn, r.sendFrameOf(remoting.RequestSendReplyMessageV2, topic, int32(q), props, arg(3)))
		}
		return r.receive(conn, r.sendFrame(topic, int32(q), "UNIQ_KEY\x01k\x02"+props, arg(3))) // without one, the broker makes one
	case "pull": // pull CONN TOPIC/QUEUE FROM SUSPEND [TAGS]
		suspend, _ := time.ParseDuration(arg(4))
		tags := arg(5)
		if tags == "" {
			tags = "*"
		}
		return r.receive(conn, r.pullFrame(topic, int32(q), number(3), suspend, tags))
	case "request": // request CONN CODE key=value... [body:BODY]
		body := []byte(nil)
		frame := r.frame(int32(number(2)), func(w *remoting.Writer) {
			for _, word := range words[3:] {
				if text, ok := strings.CutPrefix(word, "body:"); ok {
					body = []byte(strings.ReplaceAll(text, `\n`, "\n"))
					continue
				}
				key, value, _ := strings.Cut(word, "=")
				w.String(key, value)
			}
		}, nil)
		if body != nil {
			f, _, _ := remoting.Decode(frame)
			f.Body = body
			frame = remoting.Append(nil, &f)
		}
		return r.receive(conn, frame)
	case "reply": // reply CONN OPAQUE CODE [body:BODY]: the client answers a request of the node
		f := remoting.Frame{Code: int32(number(3)), Opaque: int32(number(2)), Flag: remoting.FlagResponse, Language: remoting.Java}
		f.Body = []byte(strings.TrimPrefix(arg(4), "body:"))
		return r.receive(conn, remoting.Append(nil, &f))
	case "written":
		return r.written()
	case "synced":
		return r.synced(nil)
	case "sync-fails":
		return r.synced(errDisk)
	case "after": // after DURATION: time passes, the node is woken at each deadline
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			r.t.Fatal(err)
		}
		return r.after(d)
	case "close":
		return r.step(&Event{Kind: KindClosed, Conn: conn})
	case "stop":
		return r.step(&Event{Kind: KindStop})
	case "slave": // slave ID connect|report N|close|drained
		return r.slaveCommand(replica.ConnID(number(1)), arg(2), number(3))
	case "fails": // fails CALL
		return r.step(&Event{Kind: KindAnswered, Call: int32(number(1)), Err: errDisk})
	case "answer": // answer CALL [key=value]... [body:BODY]
		f, _, _ := remoting.Decode(remoting.AppendReply(nil, remoting.JSON, 0, 0, "", nil))
		var pairs []string
		for _, w := range words[2:] {
			if text, ok := strings.CutPrefix(w, "body:"); ok {
				f.Body = []byte(text)
				continue
			}
			key, value, _ := strings.Cut(w, "=")
			pairs = append(pairs, key, value)
		}
		f.Ext = remoting.NewExt(pairs...)
		return r.step(&Event{Kind: KindAnswered, Call: int32(number(1)), Frame: &f})
	}
	r.t.Fatalf("script: what is %q?", words)
	return ""
}

func (r *rig) slaveCommand(id replica.ConnID, what string, n int64) string {
	switch what {
	case "connect":
		return r.slave(replica.KindConnected, id, nil)
	case "report":
		return r.slave(replica.KindReceived, id, binary.BigEndian.AppendUint64(nil, uint64(n)))
	case "drained":
		return r.slave(replica.KindDrained, id, nil)
	case "close":
		return r.slave(replica.KindClosed, id, nil)
	}
	r.t.Fatalf("script: slave does what? %q", what)
	return ""
}

// after lets time pass and wakes the node at each of its deadlines.
func (r *rig) after(d time.Duration) string {
	trace, end := "", r.mono+d
	for wakes := 0; r.out.WakeAt != 0 && r.out.WakeAt <= end; wakes++ {
		if wakes > 1000 {
			r.t.Fatalf("the node does not sleep: it wants to be woken at %v", r.out.WakeAt)
		}
		r.mono = max(r.mono, r.out.WakeAt)
		if t := r.step(&Event{Kind: KindWoke}); t != "" {
			trace += fmt.Sprintf("at %v\n%s", r.mono, t)
		}
	}
	r.mono = end
	return trace
}
