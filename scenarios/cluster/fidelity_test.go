package cluster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// program is a broker of the fidelity tests: either one, over any store.
type program struct {
	name string // Reference or RocketMQ
	sys  System
	t    *testing.T
	home string
	addr string
	cmd  *exec.Cmd
	conn *wireClient
}

// fidelityConf is what both brokers are told: small files, so that they roll over.
const fidelityConf = `brokerName=broker-a
brokerId=0
brokerIP1=127.0.0.1
listenPort=%d
haListenPort=%d
storePathRootDir=%[3]s
storePathCommitLog=%[3]s/commitlog
mappedFileSizeCommitLog=131072
mappedFileSizeConsumeQueue=2000
maxHashSlotNum=1000
maxIndexNum=500
flushConsumerOffsetInterval=500
flushIntervalCommitLog=100
haSendHeartbeatInterval=500
timerWheelEnable=false
autoCreateTopicEnable=true
diskMaxUsedSpaceRatio=95
`

// start runs a broker over the store in dir until it answers.
func (p *program) start(dir string) {
	p.t.Helper()
	port := freePort(p.t)
	p.addr = fmt.Sprintf("127.0.0.1:%d", port)
	p.home = p.t.TempDir()
	conf := filepath.Join(p.home, "broker.conf")
	for _, sub := range []string{"conf", scratchDir} {
		if err := os.MkdirAll(filepath.Join(p.home, sub), 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, fidelityConf, port, port+1, dir), 0o644); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.home, "conf", "logback_broker.xml"), []byte(logback), 0o644); err != nil { // 4.9 refuses to start without
		p.t.Fatal(err)
	}
	argv := []string{ownProgram(), "broker", "-c", conf}
	if p.name == RocketMQ {
		j := p.sys.java
		argv = append(append([]string{j.program}, j.flags(briefMachine, p.home, p.home)...), "-cp", filepath.Join(j.jars, "*"), brokerClass, "-c", conf)
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), "ROCKETMQ_HOME="+p.home)
	log, err := os.Create(filepath.Join(p.home, "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd := p.cmd
	p.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
	})
	deadline := time.Now().Add(60 * time.Second)
	for {
		if c, err := net.Dial("tcp", p.addr); err == nil {
			p.conn = &wireClient{t: p.t, nc: c}
			if f, err := p.conn.try(remoting.RequestGetBrokerRuntimeInfo, nil, nil); err == nil && f.Code == 0 {
				return
			}
			c.Close()
		}
		if time.Now().After(deadline) || cmd.ProcessState != nil {
			text, _ := os.ReadFile(filepath.Join(p.home, "log"))
			p.t.Fatalf("%s does not answer: %s", p.name, text)
		}
		time.Sleep(pollGroup) // there is nothing to wait on but the port
	}
}

// end ends the broker by a signal and waits for it.
func (p *program) end(sig syscall.Signal) {
	p.t.Helper()
	p.conn.nc.Close()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Wait() // how it ended is what the store tells
}

func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		free := port < 65000
		for _, other := range []int{port - 2, port + 1} { // Apache's second port, replication
			if o, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", other)); err != nil {
				free = false
			} else {
				o.Close()
			}
		}
		if free {
			return port
		}
	}
}

// wireClient is one connection on which one request is outstanding at a time.
type wireClient struct {
	t      *testing.T
	nc     net.Conn
	opaque int32
}

func (c *wireClient) try(code int32, fields func(*remoting.Writer), body []byte) (remoting.Frame, error) {
	c.opaque++
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: c.opaque, Version: remoting.Version, Language: remoting.Go})
	if fields != nil {
		fields(&w)
	}
	c.nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.nc.Write(w.Finish(body)); err != nil {
		return remoting.Frame{}, err
	}
	for {
		var head [4]byte
		if _, err := io.ReadFull(c.nc, head[:]); err != nil {
			return remoting.Frame{}, err
		}
		b := append(head[:], make([]byte, binary.BigEndian.Uint32(head[:]))...)
		if _, err := io.ReadFull(c.nc, b[4:]); err != nil {
			return remoting.Frame{}, err
		}
		f, _, err := remoting.Decode(b)
		if err != nil || f.IsResponse() && f.Opaque == c.opaque {
			return f, err
		}
	}
}

func (c *wireClient) call(code int32, fields func(*remoting.Writer), body []byte) remoting.Frame {
	c.t.Helper()
	f, err := c.try(code, fields, body)
	if err != nil {
		c.t.Fatalf("request %s: %v", remoting.RequestName(code), err)
	}
	return f
}

// send sends one message, or a batch, and wants SEND_OK.
func (c *wireClient) send(topic string, queueID int32, props string, body []byte, batch bool) {
	c.t.Helper()
	h := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte(topic), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 4, QueueID: queueID,
		Properties: []byte(props), BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: remoting.NoLimit, Batch: batch}
	code := remoting.RequestSendMessageV2
	if batch {
		code = remoting.RequestSendBatchMessage
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		f := c.call(code, func(w *remoting.Writer) { h.Append(w, code) }, body)
		if f.Code == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("send to %s: code %d, %s", topic, f.Code, f.Remark)
		}
		time.Sleep(pollGroup) // Apache's broker takes no sends for a moment after its start
	}
}

// fidelityTopics are what fill writes to, and their queues.
var fidelityTopics = map[string]int32{"Orders": 4, "Payments": 4}

const held = 3 // messages that are still delayed when the broker ends

// fill sends tags, keys, unicode, batches and delayed messages, and returns the keys.
func (c *wireClient) fill(round int) (keys []string) {
	for i := range 300 {
		key := fmt.Sprintf("r%d-%d", round, i)
		keys = append(keys, key)
		props := fmt.Sprintf("UNIQ_KEY\x01U%s\x02KEYS\x01%s shared%d\x02TAGS\x01Tag%d\x02城市\x01Zürich\x02", key, key, i%5, i%3)
		c.send("Orders", int32(i%4), props, bytes.Repeat([]byte{byte(i)}, 1+i*7), false)
	}
	for i := range 20 {
		var body []byte
		for k := range 10 {
			key := fmt.Sprintf("b%d-%d-%d", round, i, k)
			keys = append(keys, key)
			body = message.AppendBatch(body, &message.BatchMessage{Body: []byte("batch αβγ 消息 " + key), Properties: []byte("UNIQ_KEY\x01U" + key + "\x02KEYS\x01" + key + "\x02TAGS\x01ünï\x02")})
		}
		c.send("Payments", int32(i%4), "", body, true)
	}
	for i := range 5 { // 1 s
		c.send("Payments", 0, fmt.Sprintf("DELAY\x011\x02UNIQ_KEY\x01Ud%d-%d\x02KEYS\x01d%d-%d\x02", round, i, round, i), []byte("delayed"), false)
	}
	for range held { // 10 min
		c.send("Payments", 1, "DELAY\x0114\x02", []byte("delayed for long"), false)
	}
	return keys
}

// contents returns the bytes of every message of every queue.
func (c *wireClient) contents() map[string][][]byte {
	all := map[string][][]byte{}
	for topic, queues := range fidelityTopics {
		for id := range queues {
			name := fmt.Sprintf("%s/%d", topic, id)
			all[name] = c.queue(topic, id)
		}
	}
	return all
}

func (c *wireClient) queue(topic string, id int32) (records [][]byte) {
	for next := int64(0); ; {
		h := remoting.PullHeader{ConsumerGroup: []byte("fidelity"), Topic: []byte(topic), QueueID: id, QueueOffset: next, MaxMsgNums: 32,
			SysFlag: remoting.PullSubscription, Subscription: []byte("*")}
		f := c.call(remoting.RequestPullMessage, h.Append, nil)
		var r remoting.PullReply
		if err := remoting.ParsePullReply(f.Ext, &r); err != nil {
			c.t.Fatalf("pull of %s/%d: code %d, %s: %v", topic, id, f.Code, f.Remark, err)
		}
		if f.Code != 0 {
			return records
		}
		for b := f.Body; len(b) > 0; {
			_, n, err := message.Decode(b, true)
			if err != nil {
				c.t.Fatal(err)
			}
			records, b = append(records, b[:n]), b[n:]
		}
		next = r.NextBeginOffset
	}
}

// found returns how many of the keys the broker finds, each the one message that has it.
func (c *wireClient) found(keys []string) (n int, first string) {
	for _, key := range keys {
		topic := "Orders"
		if key[0] != 'r' {
			topic = "Payments"
		}
		h := remoting.QueryMessageHeader{Topic: topic, Key: key, MaxNum: 32, End: 1 << 60}
		f := c.call(remoting.RequestQueryMessage, h.Append, nil)
		r, _, err := message.Decode(f.Body, true)
		if err == nil {
			if words, _ := message.Property(r.Properties, message.PropertyKeys); strings.Fields(string(words))[0] == key {
				n++
				continue
			}
		}
		if first == "" {
			first = fmt.Sprintf("%s: code %d %s %v", key, f.Code, f.Remark, err)
		}
	}
	return n, first
}

// await asks until the brokers' answer is as it should be.
func (c *wireClient) await(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(pollGroup) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited 30 s for %s", what)
		}
	}
}

func count(all map[string][][]byte) (n int) {
	for _, records := range all {
		n += len(records)
	}
	return n
}

// commit commits the consumer's offset of a queue.
func (c *wireClient) commit(offset int64) {
	h := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("fidelity"), Topic: []byte("Orders"), QueueID: 1, CommitOffset: offset}
	c.call(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) { h.Append(w, remoting.RequestUpdateConsumerOffset) }, nil)
}

func (c *wireClient) committed() int64 {
	h := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("fidelity"), Topic: []byte("Orders"), QueueID: 1}
	f := c.call(remoting.RequestQueryConsumerOffset, func(w *remoting.Writer) { h.Append(w, remoting.RequestQueryConsumerOffset) }, nil)
	offset, err := remoting.ParseOffsetReply(f.Ext)
	if err != nil {
		return -1
	}
	return offset
}

const perRound = 300 + 200 + 5 // messages that can be consumed soon

// TestStoresAreTheSame hands one store from broker to broker: what one of them has written, the other one serves, byte for byte, finds by
// key and goes on with; after an orderly end and after kill -9.
func TestStoresAreTheSame(t *testing.T) {
	sys := apache(t, "5.5.0")
	for _, row := range []struct {
		name   string
		chain  []string // who has the store, one after the other
		signal syscall.Signal
	}{
		{"Apache's in the reference broker", []string{RocketMQ, Reference, RocketMQ}, syscall.SIGTERM},
		{"Apache's in the reference broker after kill -9", []string{RocketMQ, Reference, RocketMQ}, syscall.SIGKILL},
		{"the reference broker's in Apache's", []string{Reference, RocketMQ, Reference}, syscall.SIGTERM},
		{"the reference broker's in Apache's after kill -9", []string{Reference, RocketMQ, Reference}, syscall.SIGKILL},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			var keys []string
			var was map[string][][]byte
			for round, name := range row.chain {
				p := &program{name: name, sys: sys, t: t}
				p.start(dir)
				if round > 0 {
					p.same(was, keys, round)
				}
				keys = append(keys, p.conn.fill(round)...)
				p.conn.await("delayed messages", func() bool { return count(p.conn.contents()) == perRound*(round+1) })
				p.conn.await("keys", func() bool { n, _ := p.conn.found(keys[len(keys)-1:]); return n == 1 })
				for i := range 5 {
					keys = append(keys, fmt.Sprintf("d%d-%d", round, i))
				}
				p.conn.commit(int64(round + 7))
				was = p.conn.contents()
				p.conn.await("the checkpoint", func() bool { return settled(dir, int64(round+7), int64(5*(round+1))) })
				p.end(row.signal)
				dumped(t, dir, name, row.signal, perRound*(round+1))
			}
		})
	}
}

// settled says that what a broker writes every now and then has been written: the consumer's offset, and how many of the messages with
// delay level 1 were delivered. A broker that is killed before delivers them again.
func settled(dir string, consumed, delivered int64) bool {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, "config", name))
		if err != nil {
			return nil
		}
		return b
	}
	delays, err := remoting.ParseDelayOffsetTable(read("delayOffset.json"))
	if err != nil || !slices.Contains(delays.Levels, remoting.QueueOffset{QueueID: 1, Offset: delivered}) {
		return false
	}
	offsets, err := remoting.ParseConsumerOffsetTable(read("consumerOffset.json"))
	if err != nil {
		return false
	}
	for _, g := range offsets.Groups {
		if slices.Contains(g.Offsets, remoting.QueueOffset{QueueID: 1, Offset: consumed}) {
			return true
		}
	}
	return false
}

// same checks that the broker serves what the one before it did.
func (p *program) same(was map[string][][]byte, keys []string, round int) {
	t := p.t
	t.Helper()
	p.conn.await("all messages", func() bool { return count(p.conn.contents()) >= count(was) })
	for name, records := range p.conn.contents() {
		if len(records) != len(was[name]) {
			t.Errorf("%s serves %d messages of %s, %d were there", p.name, len(records), name, len(was[name]))
			continue
		}
		for i := range records {
			if !bytes.Equal(records[i], was[name][i]) {
				t.Errorf("%s serves other bytes at %s/%d", p.name, name, i)
				break
			}
		}
	}
	n, first := p.conn.found(keys)
	if n != len(keys) {
		t.Errorf("%s finds %d of %d keys; the first it does not: %s", p.name, n, len(keys), first)
	}
	if got, want := p.conn.committed(), int64(round+6); got != want {
		t.Errorf("%s has consumer offset %d, want %d", p.name, got, want)
	}
}

// dumped reads the store that a broker has left.
func dumped(t *testing.T, dir, name string, sig syscall.Signal, messages int) {
	t.Helper()
	sum, err := store.Dump(vfs.OS(dir))
	if err != nil {
		t.Fatal(err)
	}
	listed := int32(0)
	for _, f := range sum.Index {
		listed += f.Entries
	}
	units := int64(0)
	for _, q := range sum.Queues {
		if fidelityTopics[q.Topic] > 0 {
			units += q.Units
		}
	}
	t.Logf("%s, %v: %d records in %d files, %d units, %d index files with %d entries, %d records unlisted, abort %v", name, sig, sum.CommitLog.Records, sum.CommitLog.Files,
		units, len(sum.Index), listed, sum.Unlisted, sum.Abort)
	if len(sum.Problems) > 0 || sum.CommitLog.Records < int64(messages) || sum.CommitLog.Files < 3 {
		t.Errorf("dump of the store of %s: %d records, %v", name, sum.CommitLog.Records, sum.Problems)
	}
	if sig == syscall.SIGTERM && (sum.Abort || sum.Unlisted > 0 || units != int64(messages)) {
		t.Errorf("dump of the store that %s has closed: %+v", name, sum)
	}
}
