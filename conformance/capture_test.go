package conformance

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net"
	"sync"
	"testing"
	"time"
)

// capture is a name server and a broker at one address that says yes to everything and keeps what it was sent.
type capture struct {
	t    *testing.T
	addr string
	mu   sync.Mutex
	seen map[int][]*frame // by request code
	came *sync.Cond
	id   string // of the client that sent the last heartbeat
}

func startCapture(t *testing.T) *capture {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &capture{t: t, addr: ln.Addr().String(), seen: map[int][]*frame{}}
	c.came = sync.NewCond(&c.mu)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c
}

func (c *capture) serve(conn net.Conn) {
	defer conn.Close()
	for {
		in, err := readFrame(conn)
		if err != nil {
			return
		}
		out := c.answer(in, conn.LocalAddr().String())
		c.mu.Lock()
		c.seen[in.Code] = append(c.seen[in.Code], in)
		c.came.Broadcast()
		c.mu.Unlock()
		if out == nil {
			continue
		}
		out.Opaque, out.Flag, out.Language, out.Version = in.Opaque, 1, "JAVA", 401
		if out.write(conn) != nil {
			return
		}
	}
}

// wait returns the n-th request with that code, counted from 0.
func (c *capture) wait(code, n int) *frame {
	c.t.Helper()
	late := time.AfterFunc(15*time.Second, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen[code] = append(c.seen[code], nil)
		c.came.Broadcast()
	})
	defer late.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.seen[code]) <= n {
		c.came.Wait()
	}
	f := c.seen[code][n]
	if f == nil {
		c.t.Fatalf("no request %d number %d within 15 s", code, n)
	}
	return f
}

func (c *capture) answer(in *frame, addr string) *frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch in.Code {
	case 10, 310, 320:
		return &frame{ExtFields: map[string]string{"msgId": "7F00000100002A9F0000000000000000", "queueId": in.ExtFields["queueId"], "queueOffset": "0"}}
	case 11:
		if in.ExtFields["queueOffset"] == "0" && in.ExtFields["topic"] == "Captured" {
			return &frame{ExtFields: map[string]string{"suggestWhichBrokerId": "0", "nextBeginOffset": "1", "minOffset": "0", "maxOffset": "1"},
				body: record("Captured", "one message")}
		}
		return nil // nothing new: the client waits
	case 14, 29, 30, 31:
		return &frame{ExtFields: map[string]string{"offset": "0"}}
	case 34:
		var h struct{ ClientID string }
		if err := json.Unmarshal(in.body, &h); err == nil {
			c.id = h.ClientID
		}
		return &frame{}
	case 38:
		return &frame{body: fmt.Appendf(nil, `{"consumerIdList":[%q]}`, c.id)}
	case 41:
		var lock struct {
			MqSet json.RawMessage
		}
		if err := json.Unmarshal(in.body, &lock); err != nil {
			return &frame{Code: 1, Remark: err.Error()}
		}
		return &frame{body: fmt.Appendf(nil, `{"lockOKMQSet":%s}`, lock.MqSet)}
	case 105:
		return &frame{body: fmt.Appendf(nil, `{"brokerDatas":[{"brokerAddrs":{"0":%q},"brokerName":"broker-a","cluster":"DefaultCluster"}],"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":1,"topicSysFlag":0,"writeQueueNums":1}]}`, addr)}
	}
	return &frame{}
}

// record is a commit-log record of version 1, written from the format's description.
func record(topic, body string) []byte {
	const properties = "TAGS\x01TagA\x02UNIQ_KEY\x017F000001000018B4AAC2000000000001\x02"
	b := make([]byte, 88, 300)
	binary.BigEndian.PutUint32(b[0:], uint32(91+len(body)+len(topic)+len(properties)))
	binary.BigEndian.PutUint32(b[4:], 0xDAA320A7)
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE([]byte(body))&0x7FFFFFFF)
	copy(b[48:], []byte{127, 0, 0, 1})
	copy(b[64:], []byte{127, 0, 0, 1})
	binary.BigEndian.PutUint32(b[84:], uint32(len(body)))
	b = append(b, body...)
	b = append(append(b, byte(len(topic))), topic...)
	b = append(b, 0, byte(len(properties)))
	return append(b, properties...)
}
