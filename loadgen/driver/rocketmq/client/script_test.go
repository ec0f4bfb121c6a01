package client

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

var rewrite = flag.Bool("rewrite", false, "write the traces of testdata/*.txt anew")

// TestScripts plays interactions with the client: lines of commands, each followed by all that the client does because of
// it, indented. Lines that begin with # say what is played.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *rewrite {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("%s: got\n%s\nwant\n%s", name, got, text)
			}
		})
	}
}

// stage is a client on which a script is played.
type stage struct {
	c       *Client
	out     strings.Builder
	opaques map[string]int32 // of the last request of a slot ("0"), the one before ("old0"), that of the route ("route")
	printed map[int]int64    // bytes of a connection's stream that were printed
	pending map[int][]byte   // received bytes that are no whole frame yet
}

func play(t *testing.T, script string) string {
	s := &stage{opaques: map[string]int32{}, printed: map[int]int64{}, pending: map[int][]byte{}}
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "  "):
		case line == "" || line[0] == '#':
			fmt.Fprintln(&s.out, line)
		default:
			fmt.Fprintln(&s.out, line)
			if err := s.command(strings.Fields(line)); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			s.effects()
		}
	}
	return s.out.String()
}

// command runs one line: an instant in ms (but for new), a verb, arguments.
func (s *stage) command(f []string) error {
	if f[0] == "new" {
		s.c = New(scriptConfig(f[1:]), 0)
		return nil
	}
	ms, err := strconv.Atoi(f[0])
	if err != nil || len(f) < 2 {
		return fmt.Errorf("want an instant and a verb")
	}
	now := time.Duration(ms) * time.Millisecond
	args := f[2:]
	switch f[1] {
	case "wake":
		s.c.Wake(now)
	case "opened":
		s.c.Opened(now, number(args[0]))
		s.c.Wake(now)
	case "closed":
		s.c.Closed(now, number(args[0]))
		s.c.Wake(now)
	case "wrote":
		id := number(args[0])
		n := len(s.c.Output(id))
		if len(args) > 1 {
			n = number(args[1])
		}
		s.c.Wrote(id, n)
	case "send":
		m := driver.Message{Queue: int32(number(args[1])), Value: uint64(number(args[2]))}
		m.Body = driver.EncodeBody(nil, 7, m.Value, 32)
		s.refused(s.c.Send(now, uint32(number(args[0])), &m))
	case "choose":
		fmt.Fprintf(&s.out, "  queue %d\n", s.c.Choose(now, int32(number(args[0]))))
	case "poll":
		s.refused(s.c.Poll(now, uint32(number(args[0])), int32(number(args[1])), int64(number(args[2])), 32))
	case "commit":
		s.refused(s.c.Commit(now, uint32(number(args[0])), int32(number(args[1])), int64(number(args[2]))))
	case "reply":
		s.receive(now, number(args[0]), s.reply(args[1], args[2], args[3:]))
		s.c.Wake(now)
	case "bytes":
		s.receive(now, number(args[0]), []byte(strings.Join(args[1:], " ")))
	case "part": // the first part of a reply, cut in the middle
		b := s.reply(args[1], args[2], args[3:])
		s.receive(now, number(args[0]), b[:len(b)/2])
		fmt.Fprintln(&s.out, "  (half of the frame)")
		s.receive(now, number(args[0]), b[len(b)/2:])
	default:
		return fmt.Errorf("unknown verb")
	}
	return nil
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func scriptConfig(args []string) Config {
	cfg := Config{
		NameServers: []string{"ns:1"}, Groups: []string{"a"}, Topic: "T", Queues: 2, ProducerGroup: "p", Slots: 4, Connections: 1,
		Timeout: 8 * time.Second, RouteInterval: time.Second, DialBackoff: 100 * time.Millisecond, WallMS: 1700000000000, ClientID: "c", RunID: 7,
		NodeName: func(address string) string { return "node-" + address },
	}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "ns":
			cfg.NameServers = strings.Split(value, ",")
		case "groups":
			cfg.Groups = strings.Split(value, ",")
		case "queues":
			cfg.Queues = number(value)
		case "connections":
			cfg.Connections = number(value)
		case "consumer":
			cfg.ConsumerGroup = value
		case "hold":
			cfg.Hold = time.Duration(number(value)) * time.Millisecond
		case "form":
			cfg.Form = remoting.Binary
		default:
			panic(arg)
		}
	}
	return cfg
}

func (s *stage) refused(err error) {
	if err != nil {
		fmt.Fprintf(&s.out, "  refused: %v\n", err)
	}
}

// reply builds the answer to the last request of which ("route" or a slot). Arguments are header fields; for a route,
// group=id:address,id:address; msg=offset:value adds a message to the body of a pull.
func (s *stage) reply(which, code string, args []string) []byte {
	f := remoting.Frame{Opaque: s.opaques[which], Flag: remoting.FlagResponse, Code: int32(number(code))}
	var pairs []string
	route := remoting.RouteInfo{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch {
		case which == "route":
			route.Brokers = append(route.Brokers, remoting.BrokerData{BrokerName: key, Addrs: addresses(value)})
		case key == "msg":
			offset, id, _ := strings.Cut(value, ":")
			record := message.Record{QueueOffset: int64(number(offset)), Topic: []byte("T"), Body: driver.EncodeBody(nil, 7, uint64(number(id)), 32)}
			f.Body = message.Append(f.Body, &record)
		case key == "remark":
			f.Remark = []byte(strings.ReplaceAll(value, "_", " "))
		default:
			pairs = append(pairs, key, value)
		}
	}
	if which == "route" && f.Code == 0 {
		f.Body = route.Append(nil)
	}
	f.Ext = remoting.NewExt(pairs...)
	return remoting.Append(nil, &f)
}

func addresses(text string) []remoting.BrokerAddr {
	var list []remoting.BrokerAddr
	for part := range strings.SplitSeq(text, ",") {
		id, address, ok := strings.Cut(part, ":")
		if ok {
			list = append(list, remoting.BrokerAddr{ID: int64(number(id)), Addr: address})
		}
	}
	return list
}

func (s *stage) receive(now time.Duration, id int, b []byte) {
	b = append(s.pending[id], b...)
	n, err := s.c.Received(now, id, b)
	s.pending[id] = b[n:]
	if err != nil {
		fmt.Fprintf(&s.out, "  stream lost: %v\n", err)
		s.pending[id] = nil
	}
}

// effects prints what the client did: actions, new frames, completions, its next instant.
func (s *stage) effects() {
	for _, a := range s.c.Actions() {
		if a.Kind == Dial {
			fmt.Fprintf(&s.out, "  dial %d %s\n", a.Conn, a.Address)
		} else {
			fmt.Fprintf(&s.out, "  drop %d\n", a.Conn)
		}
	}
	for id := range s.c.Connections() {
		s.frames(id)
	}
	buf := make([]driver.Completion, 1)
	for s.c.Completions(buf) > 0 {
		d := buf[0]
		fmt.Fprintf(&s.out, "  slot %d: %v", d.Slot, d.Kind)
		if d.Status != driver.NoStatus {
			fmt.Fprintf(&s.out, " %v", d.Status)
		}
		fmt.Fprintf(&s.out, " queue %d offset %d by %s", d.Queue, d.Offset, d.Node)
		if d.Err != nil {
			fmt.Fprintf(&s.out, ": %v", d.Err)
		}
		if s.c.polled != nil && d.Kind == driver.OK && d.Offset >= 0 {
			fmt.Fprintf(&s.out, " polled %+v", *s.c.Polled(d.Slot))
		}
		fmt.Fprintln(&s.out)
	}
	if at := s.c.WakeAt(); at < never {
		fmt.Fprintf(&s.out, "  wake at %d\n", at.Milliseconds())
	}
}

// frames prints the requests that were queued on a connection since the last time.
func (s *stage) frames(id int) {
	k := &s.c.conns[id]
	if k.state != up {
		s.printed[id] = 0
		return
	}
	start := k.queued - int64(len(k.out)-k.head)
	b := s.c.Output(id)[max(s.printed[id]-start, 0):]
	s.printed[id] = k.queued
	for len(b) > 0 {
		f, n, err := remoting.Decode(b)
		if err != nil || n == 0 {
			fmt.Fprintf(&s.out, "  %d: not a frame: %v\n", id, err)
			return
		}
		b = b[n:]
		fmt.Fprintf(&s.out, "  %d> %s %d", id, f.CodeName(), f.Opaque)
		for field, rest, ok := f.Ext.Next(); ok; field, rest, ok = rest.Next() {
			fmt.Fprintf(&s.out, " %s=%s", field.Key, strings.NewReplacer("\x01", ":", "\x02", ";").Replace(string(field.Text())))
		}
		if _, value, ok := driver.DecodeBody(f.Body); ok {
			fmt.Fprintf(&s.out, " value %d", value)
		} else if len(f.Body) > 0 {
			fmt.Fprintf(&s.out, " %s", f.Body)
		}
		fmt.Fprintln(&s.out)
		if f.Code == remoting.RequestGetRouteInfoByTopic {
			s.opaques["route"] = f.Opaque
		} else if f.Opaque >= opaqueBase {
			slot := strconv.Itoa(int(f.Opaque) & (1<<s.c.slotBits - 1))
			s.opaques["old"+slot], s.opaques[slot] = s.opaques[slot], f.Opaque
		}
	}
}
