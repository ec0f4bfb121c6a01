package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"holdfast/scenarios/cluster"
)

// Apache's Go client reads from the slave when the master is gone, and goes on when it is back. It pulls from whoever is there; a push
// consumer cannot begin meanwhile, for the client asks for offsets at a master alone, and one that is there finds the slave after half a
// minute, when it looks for the route again.
func TestGoClientReadsFromSlave(t *testing.T) {
	t.Parallel()
	w := startWorld(t, *systemFlag, []cluster.Topic{{Name: "ReadSlave", Queues: 2}})
	c := &goCase{server: &server{namesrv: w.group.Nodes()[0].Addr.String()}, topic: "ReadSlave"}
	c.sendFrom(t, 0)
	w.caughtUp()
	w.stopMaster()
	puller := startPull(t, c.server, c.topic)
	pulled := func(queue int, from int64) ([]string, error) {
		r, err := puller.PullFrom(t.Context(), &primitive.MessageQueue{Topic: c.topic, BrokerName: "a", QueueId: queue}, from, 32)
		if err != nil || r.Status != primitive.PullFound {
			return nil, err
		}
		return bodiesOf(r.GetMessageExts()), nil
	}
	for q, want := range [][]string{{"000", "002"}, {"001", "003"}} {
		if got, err := pulled(q, 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("queue %d from the slave: %q, want %q, %v", q, got, want, err)
		}
	}
	w.startMaster()
	c.sendFrom(t, 4)
	w.caughtUp()
	for q, want := range [][]string{{"000", "002", "004", "006"}, {"001", "003", "005", "007"}} {
		if got, err := pulled(q, 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("queue %d with the master again: %q, want %q, %v", q, got, want, err)
		}
	}
}

// sendFrom sends four messages with the numbers from first on to two queues in turn, the first one as soon as the master takes it.
func (c *goCase) sendFrom(t *testing.T, first int) {
	t.Helper()
	put := c.producer(t, producer.WithInstanceName(fmt.Sprint(c.namesrv, "-from-", first)))
	for i, until := first, time.Now().Add(30*time.Second); i < first+4; {
		said := put(c.inQueue(i%2, fmt.Sprintf("%03d", i)))
		switch {
		case strings.HasPrefix(said, "SEND_OK"):
			i++
		case i > first || time.Now().After(until):
			t.Fatal(said)
		default:
			time.Sleep(100 * time.Millisecond)
		}
	}
}
