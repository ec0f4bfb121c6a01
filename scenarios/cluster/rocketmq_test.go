package cluster

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"holdfast/reports/result"
)

// apache returns RocketMQ of that version, prepared, or skips the test with the reason.
func apache(t *testing.T, version string) System {
	t.Helper()
	if os.Getenv("HOLDFAST_APACHE") != "1" {
		t.Skip("starts Apache RocketMQ, which takes half a minute: set HOLDFAST_APACHE=1")
	}
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs Java and Maven: %v", err)
		}
	}
	sys, err := ParseSystem("rocketmq:" + version)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Prepare(t.Context(), testLog{t}); err != nil {
		t.Fatal(err)
	}
	return sys
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

func TestRocketMQStarts(t *testing.T) {
	sys := apache(t, "5.5.0")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	contract := result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}
	g, err := New(sys, contract, Options{Dir: "/tmp/apache/run", Topics: []Topic{{"t", 4}}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	began := time.Now()
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %v", time.Since(began))
	t.Logf("usage: %+v", g.Usage())
	if os.Getenv("HOLD") != "" {
		time.Sleep(20 * time.Second)
	}
	t.Logf("usage: %+v", g.Usage())
}
