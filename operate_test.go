package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/broker/remoting"
	"holdfast/broker/server"
)

// node is a broker or name server that runs as a process of its own.
type node struct {
	cmd    *exec.Cmd
	ready  map[string]string // of the ready line
	stderr *bufio.Reader
}

// startNode starts the program and waits for its ready line.
func startNode(t *testing.T, args ...string) *node {
	t.Helper()
	n := &node{cmd: command(t, args...), ready: map[string]string{}}
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.stderr = bufio.NewReader(stderr)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.cmd.Process.Kill(); n.cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		rest, _ := io.ReadAll(n.stderr)
		t.Fatalf("%v: not ready: %v: %s", args, err, rest)
	}
	for field := range strings.FieldsSeq(line) {
		if key, value, ok := strings.Cut(field, "="); ok {
			n.ready[key] = value
		}
	}
	return n
}

// conf writes a broker.conf and returns its path.
func conf(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broker.conf")
	lines = append(lines, "listenPort=0", "storePathRootDir="+t.TempDir())
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask sends one request and returns its answer.
func ask(t *testing.T, addr string, code int32, fields func(*remoting.Writer)) remoting.Frame {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: 1, Version: remoting.Version, Language: remoting.Go})
	if fields != nil {
		fields(&w)
	}
	if _, err := nc.Write(w.Finish(nil)); err != nil {
		t.Fatal(err)
	}
	var b []byte
	for buf := make([]byte, 64<<10); ; {
		n, err := nc.Read(buf)
		b = append(b, buf[:n]...)
		if f, size, ferr := remoting.Decode(b); ferr != nil || size > 0 {
			if ferr != nil {
				t.Fatal(ferr)
			}
			return f
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestASignalEndsABrokerInOrder: exit code 0, nothing left to recover, and the name server has forgotten it.
func TestASignalEndsABrokerInOrder(t *testing.T) {
	names := startNode(t, "namesrv", "--listen", "127.0.0.1:0")
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		path := conf(t, "namesrvAddr="+names.ready["namesrv"], "brokerName=b")
		n := startNode(t, "broker", "-c", path, "--log-level", "info")
		known := func() bool {
			f := ask(t, names.ready["namesrv"], remoting.RequestGetBrokerClusterInfo, nil)
			return bytes.Contains(f.Body, []byte(n.ready["broker"]))
		}
		for end := time.Now().Add(10 * time.Second); !known(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not registered within 10 s")
			}
		}
		begun := time.Now()
		if err := n.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		log, _ := io.ReadAll(n.stderr)
		if err := n.cmd.Wait(); err != nil {
			t.Errorf("%v: %v: %s", sig, err, log)
		}
		t.Logf("%v: ended after %v", sig, time.Since(begun))
		if known() {
			t.Errorf("%v: the name server still knows the broker", sig)
		}
		again := startNode(t, "broker", "-c", path, "--log-level", "info")
		opened, err := again.stderr.ReadString('\n')
		if err != nil || !strings.Contains(opened, "store opened") || !strings.Contains(opened, "clean") {
			t.Errorf("%v: the next start says %q, %v", sig, opened, err)
		}
		again.cmd.Process.Kill()
		again.cmd.Wait()
	}
}

// TestASecondSignalEndsABrokerAtOnce: the first one waits for a name server that does not answer.
func TestASecondSignalEndsABrokerAtOnce(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	n := startNode(t, "broker", "-c", conf(t, "namesrvAddr="+silent.Addr().String()), "--log-level", "info")
	n.cmd.Process.Signal(syscall.SIGTERM)
	for {
		line, err := n.stderr.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended by the first signal: %v", err)
		}
		if strings.Contains(line, "msg=stopping") {
			break
		}
	}
	n.cmd.Process.Signal(syscall.SIGTERM)
	n.cmd.Wait()
	if status := n.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
		t.Errorf("it ended with %v instead of the signal", n.cmd.ProcessState)
	}
}

// TestAdvertise: what listens on every address of a container tells clients where the container is reached.
func TestAdvertise(t *testing.T) {
	for _, host := range []string{"10.1.2.3", "rocketmq.example", "localhost"} {
		n := startNode(t, "broker", "--standalone", "--listen", "0.0.0.0:0", "--advertise", host)
		_, port, _ := net.SplitHostPort(n.ready["broker"])
		_, namesPort, _ := net.SplitHostPort(n.ready["namesrv"])
		f := ask(t, net.JoinHostPort("127.0.0.1", namesPort), remoting.RequestGetRouteInfoByTopic, func(w *remoting.Writer) { w.String("topic", "TBW102") })
		if want := `"0":"` + host + ":" + port + `"`; !bytes.Contains(bytes.ReplaceAll(f.Body, []byte("0:"), []byte(`"0":`)), []byte(want)) {
			t.Errorf("--advertise %s: the route is %s, want %s in it", host, f.Body, want)
		}
		ask(t, net.JoinHostPort("127.0.0.1", port), remoting.RequestGetBrokerRuntimeInfo, nil)
		n.cmd.Process.Signal(syscall.SIGTERM)
		if err := n.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestBrokerPort: a container publishes ports that are known before.
func TestBrokerPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	n := startNode(t, "broker", "--standalone", "--listen", "127.0.0.1:0", "--broker-port", port)
	if got := n.ready["broker"]; got != "127.0.0.1:"+port {
		t.Errorf("the broker is at %s, want port %s", got, port)
	}
}

func TestOperationUsage(t *testing.T) {
	file := conf(t)
	for _, row := range []struct {
		says string
		args []string
		want string
	}{
		{"an address that is every address", []string{"broker", "--standalone", "--advertise", "0.0.0.0"}, "--advertise: advertised address 0.0.0.0: clients cannot connect to it"},
		{"an address with a port", []string{"broker", "--standalone", "--advertise", "a:1"}, `"a:1": not a host name or an address`},
		{"the same in the file", []string{"broker", "-c", conf(t, "brokerIP1=::")}, "broker.conf:1: brokerIP1=::: advertised address ::: clients cannot connect to it"},
		{"a name to listen on", []string{"broker", "-c", conf(t, "brokerIP1=rocketmq.example")}, "bindAddress says where to listen"},
		{"a port of the standalone form", []string{"broker", "-c", file, "--broker-port", "1"}, "--broker-port has no effect with -c FILE"},
		{"an unknown form of the log", []string{"broker", "--standalone", "--log-format", "xml"}, "--log-format xml; allowed: text, json"},
		{"an unknown level", []string{"namesrv", "--log-level", "loud"}, "--log-level loud; allowed: error, warn, info, debug"},
		{"no address of the metrics", []string{"broker", "--standalone", "--metrics", "5557"}, "--metrics: address 5557"},
		{"an unknown exporter", []string{"broker", "-c", conf(t, "metricsExporterType=LOG")}, "metricsExporterType=LOG: allowed: [DISABLE PROM]"},
	} {
		if _, stderr, code := holdfast(t, row.args...); code != exitUsage || !strings.Contains(stderr, row.want) {
			t.Errorf("%s: exit %d, %s; want %q", row.says, code, stderr, row.want)
		}
	}
}

// TestPrintConfig: what is printed is a broker.conf that says the same.
func TestPrintConfig(t *testing.T) {
	stdout, stderr, code := holdfast(t, "broker", "-c", conf(t, "bindAddress=0.0.0.0", "brokerIP1=rocketmq.example", "brokerRole=SYNC_MASTER", "metricsExporterType=PROM"), "-p")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, line := range []string{"bindAddress=0.0.0.0", "brokerIP1=rocketmq.example", "brokerRole=SYNC_MASTER", "metricsPromExporterPort=5557"} {
		if !strings.Contains("\n"+stdout, "\n"+line+"\n") {
			t.Errorf("%s is missing in %s", line, stdout)
		}
	}
	cfg, err := server.ParseConf("printed", stdout)
	if err != nil {
		t.Fatal(err)
	}
	if again := cfg.Properties(); again != stdout {
		t.Errorf("printed again:\n%s, want\n%s", again, stdout)
	}
}

// TestLogFormat: every line of a JSON log is JSON, and there is none for a message.
func TestLogFormat(t *testing.T) {
	n := startNode(t, "broker", "--standalone", "--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug")
	for range 3 {
		h := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte("T"), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 4, MaxReconsumeTimes: remoting.NoLimit}
		ask(t, n.ready["broker"], remoting.RequestSendMessageV2, func(w *remoting.Writer) { h.Append(w, remoting.RequestSendMessageV2) })
	}
	n.cmd.Process.Signal(syscall.SIGTERM)
	log, err := io.ReadAll(n.stderr)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	for _, line := range lines {
		var record map[string]any
		if json.Unmarshal(line, &record) != nil || record["level"] == nil || record["msg"] == nil {
			t.Errorf("not a record: %s", line)
		}
	}
	if len(lines) > 12 || !regexp.MustCompile(`"msg":"started"`).Match(log) {
		t.Errorf("%d lines for three messages: %s", len(lines), log)
	}
}
