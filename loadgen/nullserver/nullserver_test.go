package nullserver

import (
	"context"
	"testing"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen"
	"holdfast/loadgen/driver/rocketmq"
)

// TestStampIsTheCodecsReply: a stamped reply reads as one that was built, and echoes what it must.
func TestStampIsTheCodecsReply(t *testing.T) {
	server := Server{}
	for _, form := range []remoting.Form{remoting.JSON, remoting.Binary} {
		for queue := range int32(queues) {
			for _, opaque := range []int32{1 << 30, 1<<31 - 1, 7} { // the last has too few digits to be stamped in JSON
				head := remoting.Frame{Code: remoting.RequestSendMessageV2, Opaque: opaque, Form: form, Version: remoting.Version}
				w := remoting.Begin(nil, &head)
				h := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte("T"), DefaultTopic: []byte("D"), QueueID: queue, MaxReconsumeTimes: remoting.NoLimit}
				h.Append(&w, remoting.RequestSendMessageV2)
				out, err := server.answer([]byte("before"), w.Finish([]byte("body")), 42)
				if err != nil {
					t.Fatal(err)
				}
				f, n, err := remoting.Decode(out[len("before"):])
				if err != nil || n != len(out)-len("before") {
					t.Fatalf("%v queue %d: %d bytes, %v", form, queue, n, err)
				}
				var r remoting.SendReply
				if err := remoting.ParseSendReply(f.Ext, &r); err != nil {
					t.Fatal(err)
				}
				if !f.IsResponse() || f.Code != 0 || f.Opaque != opaque || r.QueueID != queue || r.QueueOffset%offsetBase != 42 {
					t.Errorf("%v queue %d opaque %d: got %+v %+v", form, queue, opaque, f, r)
				}
			}
		}
	}
}

// TestMeasure: everything sent is acknowledged, and both figures are there.
func TestMeasure(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Measure(ctx, loadgen.Config{Connections: 2, Outstanding: 16}, rocketmq.Config{}, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if c.Sent < 100 || c.PerSecond < 1000 || c.PerCPUSecond < 1000 {
		t.Errorf("got %+v", c)
	}
}
