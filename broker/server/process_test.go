package server

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/vfs"
)

// The test binary is also a broker process, so that one can be killed for real.
const (
	brokerEnv = "HOLDFAST_TEST_BROKER" // directory of the store
	faultEnv  = "HOLDFAST_TEST_FAULT"  // "fsync": the first sync of the commit log fails
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(brokerEnv); dir != "" {
		os.Exit(brokerProcess(dir))
	}
	os.Exit(m.Run())
}

func brokerProcess(dir string) int {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir, cfg.Listen = dir, "127.0.0.1:0"
	if os.Getenv(faultEnv) == "fsync" {
		cfg.Node.Choice.FlushType = durability.SyncFlush
		match := func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasPrefix(c.Name, "commitlog/") }
		cfg.FS = vfs.NewFaulty(vfs.OS(dir), vfs.Once(match, vfs.Effect{Err: vfs.ErrIO}), nil)
	}
	s, err := Start(context.Background(), cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	fmt.Println(s.Addr())
	<-s.Done()
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// process starts a broker process over dir and returns it with its address.
func process(t *testing.T, dir string, env ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), brokerEnv+"="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the broker said nothing: %v", err)
	}
	return cmd, strings.TrimSpace(line)
}

// TestKilledBrokerKeepsWhatItAcknowledged kills the process under load: ASYNC_FLUSH acknowledges from the page cache, which
// outlives the process.
func TestKilledBrokerKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	cmd, addr := process(t, dir)
	c := dial(t, addr)
	const sends, killedAfter = 2000, 1000
	var frames []byte
	for i := range sends {
		frames = append(frames, sendFrame(nil, int32(i), "T", 0, nil, []byte(label("message %d", i)))...)
	}
	go c.nc.Write(frames)
	acked := 0
	for acked < killedAfter {
		f := c.read()
		want(t, "code", f.Code, 0)
		acked++
	}
	cmd.Process.Kill()
	cmd.Wait()
	for { // what is still in the socket was acknowledged, too
		if _, err := c.tryRead(); err != nil {
			break
		}
		acked++
	}
	_, addr = process(t, dir)
	c = dial(t, addr)
	read := 0
	for {
		code, r, bodies := c.pull("T", 0, int64(read), 0)
		if code != 0 {
			want(t, "end", r.MaxOffset, int64(read))
			break
		}
		for _, b := range bodies {
			want(t, "body", b, label("message %d", read))
			read++
		}
	}
	if read < acked {
		t.Errorf("%d acknowledged, %d there", acked, read)
	}
}

func TestFailedFsyncEndsTheProcess(t *testing.T) {
	cmd, addr := process(t, t.TempDir(), faultEnv+"=fsync")
	c := dial(t, addr)
	c.write(sendFrame(nil, 1, "T", 0, nil, []byte("x")))
	if f, err := c.tryRead(); err == nil {
		t.Errorf("answered %d although the fsync failed", f.Code)
	}
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit code %d (%v), want 3", code, err)
	}
}
