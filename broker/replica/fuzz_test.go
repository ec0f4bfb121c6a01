package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// FuzzEpochs: a list on the wire is refused with ErrEpochs, or is written again as it was read.
func FuzzEpochs(f *testing.F) {
	f.Add(Epochs{{1, 0}, {3, 100}}.appendTo(nil))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x80, 0, 0, 0}) // times 12 that is 0 in 32 bits
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEpochs(b)
		switch {
		case err != nil && !errors.Is(err, ErrEpochs):
			t.Errorf("%x: %v is no ErrEpochs", b, err)
		case err == nil && !bytes.Equal(e.appendTo(nil), b):
			t.Errorf("%x is written as %x", b, e.appendTo(nil))
		}
	})
}

// FuzzStream: what a peer of the replication port sends, in bursts of any size, to each of the four ends that there are. Whatever it is,
// nothing of it is used twice or invented, no more is kept than the longest message has, what is to be applied goes on where the log ends,
// and what counts as acknowledged is within the log where the profile says so.
func FuzzStream(f *testing.F) {
	report := binary.BigEndian.AppendUint64(nil, 1000)
	chunk := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, 1000), 3), "abc"...)
	greeting := binary.BigEndian.AppendUint64(nil, 2)                                                                // id
	greeting = binary.BigEndian.AppendUint64(greeting, 22)                                                           // incarnation
	greeting = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(greeting, 5), 1000)                       // epoch, end
	hello := append(binary.BigEndian.AppendUint64(nil, 1<<32|44+12), Epochs{{2, 0}, {5, 600}}.appendTo(greeting)...) // kind 1
	told := binary.BigEndian.AppendUint64(nil, messageTransfer<<32|5)                                                // a report of epoch 5
	told = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(told, 2), 1<<40)
	f.Add(uint8(2), uint8(200), append(append([]byte(nil), hello...), told...))
	for end := range uint8(4) {
		for _, b := range [][]byte{report, chunk, hello, {0xff}} {
			f.Add(end, uint8(5), b)
			f.Add(end, uint8(200), append(append([]byte(nil), b...), b...))
		}
	}
	f.Fuzz(func(t *testing.T, end, burst uint8, stream []byte) {
		s := newStream(t, end%4)
		var buf []byte
		for len(stream) > 0 && !s.closed {
			n := min(len(stream), int(burst)+1)
			buf = append(buf, stream[:n]...)
			stream = stream[n:]
			used := s.receive(buf)
			if used < 0 || used > len(buf) {
				t.Fatalf("%d of %d bytes used", used, len(buf))
			}
			buf = buf[used:]
		}
	})
}

// stream is one end of a connection of the replication port, for bytes from the other.
type stream struct {
	t      *testing.T
	r      Replicator
	log    Log
	now    time.Duration
	out    Out
	closed bool
	guards bool // no report beyond the log counts
}

func newStream(t *testing.T, end uint8) *stream {
	s := &stream{t: t, now: time.Second, guards: end != 0}
	switch end {
	case 0, 1:
		p, err := NewPrimary(Config{Role: Role(end), MasterAddr: "m:1"})
		if err != nil {
			t.Fatal(err)
		}
		s.r, s.log = p, Log{Written: 1000, Whole: 1000, Appended: 1000, Synced: 1000, FileBytes: 1 << 20}
	case 2:
		l := newLead(t, 2)
		s.r, s.log, s.now = l.c, l.log, l.now
	case 3:
		c, err := NewControlled(ControlledConfig{Incarnation: 22, Joins: true, InSync: 2}, Epochs{{2, 0}})
		if err != nil {
			t.Fatal(err)
		}
		s.r, s.log = c, Log{Written: 1000, Whole: 1000, Appended: 1000, Synced: 1000, FileBytes: 1 << 20}
		s.step(&Event{Kind: KindView, View: View{ID: 2, Epoch: 5, Version: 8, Master: 1, MasterHA: "m:1", Set: []Member{{1, 11, false}, {2, 22, false}}}})
	}
	s.step(&Event{Kind: KindWoke})
	s.step(&Event{Kind: KindConnected, Conn: 7, Addr: "peer:1", Dialed: end == 1 || end == 3})
	return s
}

func (s *stream) receive(b []byte) int {
	s.step(&Event{Kind: KindReceived, Conn: 7, Data: b})
	used := s.out.Consumed
	for _, c := range s.out.Close {
		s.closed = s.closed || c == 7
	}
	return used
}

func (s *stream) step(ev *Event) {
	ev.Log = s.log
	s.out.Reset()
	s.now += time.Millisecond
	s.r.Step(s.now, ev, &s.out)
	for _, c := range s.out.Apply {
		if c.At != s.log.Appended || len(c.Data) == 0 || len(c.Data) > maxChunkBytes {
			s.t.Fatalf("%d bytes are to be applied at %d, the log ends at %d", len(c.Data), c.At, s.log.Appended)
		}
		s.log.Appended += Offset(len(c.Data))
		s.log.Written, s.log.Whole = s.log.Appended, s.log.Appended
	}
	for _, p := range s.r.Peers(nil) {
		if s.guards && p.Acked > s.log.Appended {
			s.t.Fatalf("%d counts as acknowledged, the log ends at %d", p.Acked, s.log.Appended)
		}
	}
	for _, e := range s.out.Envelopes {
		if e.Size > 0 && (e.From < s.log.Min || e.From+Offset(e.Size) > s.log.Written) {
			s.t.Fatalf("[%d, +%d) is sent of a log of [%d, %d)", e.From, e.Size, s.log.Min, s.log.Written)
		}
	}
	if s.out.Cut && s.out.Truncate > s.log.Appended {
		s.t.Fatalf("the log is to be cut at %d, it ends at %d", s.out.Truncate, s.log.Appended)
	}
}
