package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// TestBrokenStreamsEndTheirConnectionOnly sends what is no frame; another client notices nothing.
func TestBrokenStreamsEndTheirConnectionOnly(t *testing.T) {
	s := mustStart(t, DefaultConfig(durability.RocketMQ5))
	other := dial(t, s.Addr())
	head := func(total, header uint32, rest string) []byte {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, total), header)
		return append(b, rest...)
	}
	for _, tc := range []struct {
		what  string
		bytes []byte
	}{
		{"a frame of 16 MiB and a byte", head(16<<20+1, 2, "{}")},
		{"a length below the smallest", head(1, 0, "")},
		{"a header longer than its frame", head(10, 500, "xxxxxx")},
		{"an unknown header form", head(10, 9<<24|2, "{}xxxx")},
		{"a header that is no JSON", head(10, 6, "{nonse")},
		{"a TLS hello", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
		{"an HTTP request", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"a good frame before the broken one", append(sendFrame(nil, 1, "T", 0, nil, []byte("x")), head(1, 0, "")...)},
	} {
		c := dial(t, s.Addr())
		c.write(tc.bytes)
		err := error(nil)
		for err == nil {
			_, err = c.tryRead()
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection stays open", tc.what)
		}
		code, _ := other.send("T", 0, "y")
		want(t, tc.what+": the other client", code, remoting.ResponseSuccess)
	}
}

func TestAFrameOfAnySizeArrives(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	s := mustStart(t, cfg)
	c := dial(t, s.Addr())
	for _, size := range []int{1, readBytesMin - 100, readBytesMin, readBytesMax, readBytesMax + 1, 4 << 20} {
		code, _ := c.send("T", 0, strings.Repeat("x", size))
		want(t, label("%d bytes", size), code, remoting.ResponseSuccess)
	}
	code, _ := c.send("T", 0, strings.Repeat("x", 4<<20+1))
	want(t, "beyond maxMessageSize", code, remoting.ResponseMessageIllegal)
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir = dir
	s := mustStart(t, cfg)
	inUse := DefaultConfig(durability.RocketMQ5)
	inUse.Listen, inUse.Log = s.Addr(), quiet
	if _, err := Start(context.Background(), inUse); !errors.Is(err, ErrStart) || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("port in use: %v", err)
	}
	sameStore := cfg
	sameStore.Listen, sameStore.Log = "127.0.0.1:0", quiet
	if _, err := Start(context.Background(), sameStore); !errors.Is(err, ErrStart) || !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("store in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Start(context.Background(), sameStore)
	if err != nil {
		t.Fatalf("after the failed starts: %v", err)
	}
	again.Close()
}

// TestDiscardedDataIsTold starts on a commit log that is none: what it removes, an operator must see without asking for more.
func TestDiscardedDataIsTold(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "commitlog"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "commitlog", strings.Repeat("0", 20)), bytes.Repeat([]byte("garbage "), 1024), 0o644); err != nil {
		t.Fatal(err)
	}
	told := func() string {
		var log bytes.Buffer
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.Listen, cfg.StoreDir = "127.0.0.1:0", dir
		cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		s, err := Start(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	if got := told(); !strings.Contains(got, "cut 8192 bytes") {
		t.Errorf("garbage: logged %q", got)
	}
	if got := told(); got != "" {
		t.Errorf("a store closed cleanly: logged %q", got)
	}
}

func TestConf(t *testing.T) {
	const good = "brokerIP1=127.0.0.1\nlistenPort=0\nstorePathRootDir=/x\n"
	for _, tc := range []struct{ what, text, want string }{
		{"unknown key", good + "\nflushDiskTyp=SYNC_FLUSH\n", `b.conf:5: unknown key "flushDiskTyp"; the nearest is "flushDiskType"`},
		{"unknown word", good + "flushDiskType=SYNC\n", "b.conf:4: flushDiskType=SYNC: allowed: [ASYNC_FLUSH SYNC_FLUSH]"},
		{"out of range", good + "inSyncReplicas=0\n", "b.conf:4: inSyncReplicas=0: allowed: 1 to 32"},
		{"not a number", good + "listenPort=abc\n", "listenPort=abc: allowed: 0 to 65535"},
		{"not a boolean", good + "slaveReadEnable=yes\n", "slaveReadEnable=yes: allowed: true, false"},
		{"slave with id 0", good + "brokerRole=SLAVE\n", "brokerId=0; a SLAVE needs one above 0"},
		{"master with id 1", good + "brokerId=1\n", "brokerId=1; a master has 0"},
		{"no store", "brokerIP1=127.0.0.1\n", "storePathRootDir is missing"},
		{"commit log elsewhere", good + "storePathCommitLog=/y/commitlog\n", "allowed: commitlog below storePathRootDir"},
		{"no address", good + "brokerIP2=here\n", "brokerIP2"},
	} {
		_, err := ParseConf("b.conf", tc.text)
		if !errors.Is(err, ErrConf) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.what, err, tc.want)
		}
	}
	cfg, err := ParseConf("b.conf", good+"brokerRole=SYNC_MASTER\ninSyncReplicas=2\nflushDiskType=SYNC_FLUSH\nnamesrvAddr=a:1;b:2\n"+
		"mappedFileSizeConsumeQueue=50\ntraceTopicEnable=false\nstorePathCommitLog=/x/commitlog\nholdfastProfile=rocketmq-4.9\nhaListenPort=7\n")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "contract", cfg.Node.Choice.Contract().Name, "SYNC_MASTER+SYNC_FLUSH")
	want(t, "name servers", label("%v", cfg.Node.NameServers), "[a:1 b:2]")
	want(t, "queue files are whole units", cfg.Store.QueueFileBytes, 60)
	want(t, "notes", label("%v", cfg.Notes), "[b.conf:9: traceTopicEnable has no effect: there is no trace topic]")
	want(t, "replication port", cfg.HAListen, "127.0.0.1:7")
	want(t, "no fast port below port 0", cfg.FastListen, "")
	if cfg, err = ParseConf("b.conf", "brokerIP1=127.0.0.3\nlistenPort=10911\nstorePathRootDir=/x\n"); err != nil {
		t.Fatal(err)
	}
	want(t, "fast port", cfg.FastListen, "127.0.0.3:10909")
}

// TestFastPort: clients are served at the second port as at the first, and a broker whose second port is taken serves the first.
func TestFastPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.FastListen = l.Addr().String()
	s := mustStart(t, cfg)
	code, _ := dial(t, s.Addr()).send("T", 0, "x")
	want(t, "the first port of a broker whose second is taken", code, remoting.ResponseSuccess)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustStart(t, cfg)
	code, _ = dial(t, cfg.FastListen).send("T", 0, "x")
	want(t, "the second port", code, remoting.ResponseSuccess)
}

func TestReadConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.conf")
	if err := os.WriteFile(path, []byte("storePathRootDir=/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConf(path); err != nil {
		t.Error(err)
	}
	if _, err := ReadConf(path + ".not"); !errors.Is(err, ErrConf) {
		t.Errorf("a file that is not there: %v", err)
	}
}
