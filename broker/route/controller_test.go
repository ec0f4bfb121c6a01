package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/broker/remoting"
)

// council is a controller with nodes that speak to it by hand.
type council struct {
	t     *testing.T
	c     *Controller
	now   time.Duration
	boots int64
	nodes map[int]*councillor
}

type councillor struct {
	header remoting.NodeHeader
	state  remoting.SyncState // what it was told last
}

func newCouncil(t *testing.T, durable bool, metadata []byte) *council {
	cfg := DefaultControllerConfig()
	cfg.Durable = durable
	c, err := NewController(cfg, metadata)
	if err != nil {
		t.Fatal(err)
	}
	return &council{t: t, c: c, now: time.Second, nodes: map[int]*councillor{}}
}

// boot starts node i; end is how far its log is.
func (c *council) boot(i int, clean bool, epoch int32, end int64) remoting.SyncState {
	c.boots++
	n := &councillor{header: remoting.NodeHeader{
		BrokerHeader: remoting.BrokerHeader{BrokerName: "g", BrokerAddr: fmt.Sprintf("10.0.0.%d:1", i), ClusterName: "c"},
		HAAddr:       fmt.Sprintf("10.0.0.%d:2", i), Incarnation: c.boots, Clean: clean, Epoch: epoch, MaxOffset: end,
	}}
	c.nodes[i] = n
	n.state = c.c.Register(c.now, uint64(i), &n.header)
	n.header.BrokerID = n.state.BrokerID
	return n.state
}

// beat is a heartbeat of node i.
func (c *council) beat(i int) remoting.SyncState {
	n := c.nodes[i]
	n.header.Version = n.state.Version
	s, ok := c.c.Heartbeat(c.now, uint64(i), &n.header)
	if !ok {
		c.t.Fatalf("node %d is not known", i)
	}
	n.state = s
	return s
}

// alter has node i ask for a set of nodes, all attested.
func (c *council) alter(i int, confirmed int64, members ...int) error {
	s := c.nodes[i].state
	h := remoting.AlterSyncStateSetHeader{BrokerName: "g", MasterID: s.BrokerID, MasterEpoch: s.MasterEpoch, Version: s.Version, Confirmed: confirmed}
	for _, m := range members {
		h.Members = append(h.Members, remoting.SyncMember{ID: c.nodes[m].header.BrokerID, Incarnation: c.nodes[m].header.Incarnation})
	}
	s, err := c.c.Alter(&h)
	if err == nil {
		c.nodes[i].state = s
	}
	return err
}

func (c *council) leads(want int64, why string) {
	c.t.Helper()
	if got := c.c.groups[0].master; got != want {
		c.t.Errorf("%s: node %d leads, want %d; %s", why, got, want, c.c.Metadata())
	}
}

// three returns a group whose node 1 leads with all in its SyncStateSet.
func three(t *testing.T) *council {
	c := newCouncil(t, true, nil)
	for i := 1; i <= 3; i++ {
		c.boot(i, false, 0, 0)
	}
	c.beat(1)
	if err := c.alter(1, 0, 1, 2, 3); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		c.nodes[i].header.Epoch, c.nodes[i].header.MaxOffset = 1, 100*int64(i)
		c.beat(i)
	}
	c.c.Notices()
	return c
}

func TestElections(t *testing.T) {
	c := three(t)
	c.leads(1, "the first of an empty group is elected at once")
	c.now += 2 * time.Second
	c.beat(2)
	c.beat(3)
	c.c.Closed(1)
	c.c.Tick(c.now)
	c.leads(1, "its connection broke, its lease is not over")
	c.now += 1100 * time.Millisecond
	if s := c.beat(2); s.MasterID != 3 || s.MasterEpoch != 2 || len(s.Members) != 3 || s.MasterHAAddr != "10.0.0.3:2" {
		t.Errorf("lease over: %+v, want the longest log of the set, in a new epoch, with the set as it was", s)
	}
	if n := c.c.Notices(); len(n) != 4 || n[3].State.MasterID != 3 {
		t.Errorf("those who live are told %v, want both of the end of the reign and of the election", n)
	}
	if s := c.boot(3, true, 2, 300); s.MasterID != 3 || s.MasterEpoch != 3 {
		t.Errorf("restarted in order: %+v, want it elected again, in another epoch", s)
	}
	if s := c.boot(3, false, 2, 500); s.MasterID != 2 {
		t.Errorf("restarted after a crash: %+v, want the one that is beyond doubt, though it is shorter", s)
	}
}

// All members are doubtful: nobody is elected before all are back, then the longest log, by epoch first.
func TestElectionAfterACrashOfAll(t *testing.T) {
	c := three(t)
	c.c.Closed(2)
	c.c.Closed(3)
	c.boot(1, false, 1, 100)
	c.boot(2, false, 2, 50)
	c.leads(0, "one member is missing")
	c.boot(3, false, 1, 900)
	c.leads(2, "all are back")
}

// What a slave told before the master was gone says nothing of what it acknowledged to it since then.
func TestElectionTakesNoOldReports(t *testing.T) {
	c := three(t)
	c.boot(2, false, 1, 0)
	c.boot(3, false, 1, 0)
	for i := 2; i <= 3; i++ { // caught up, and not attested yet
		c.nodes[i].header.MaxOffset = 900
	}
	c.boot(1, false, 1, 500)
	c.leads(0, "what 2 and 3 have is not known")
	c.beat(2)
	c.beat(3)
	c.leads(0, "sent before they heard that nobody leads")
	c.beat(2)
	c.leads(0, "one has not told")
	c.beat(3)
	c.leads(2, "all have told")
}

// The set has shrunk to one, which comes back with less than was acknowledged: the others may have it.
func TestFloorOfAnElection(t *testing.T) {
	c := three(t)
	if err := c.alter(1, 100, 1); err != nil {
		t.Fatal(err)
	}
	c.c.Closed(2)
	c.c.Closed(3)
	c.boot(1, false, 1, 99)
	c.leads(0, "it lost what was acknowledged, the others are away")
	c.boot(2, false, 1, 95)
	c.leads(0, "one is away")
	c.boot(3, false, 1, 150)
	c.leads(3, "all are back: the longest log, though it had left the set")

	c = three(t)
	if err := c.alter(1, 100, 1); err != nil {
		t.Fatal(err)
	}
	c.c.Closed(2)
	c.c.Closed(3)
	c.boot(1, false, 1, 100)
	c.leads(1, "it has all that was acknowledged")
}

func TestAlterIsFenced(t *testing.T) {
	c := three(t)
	old := c.nodes[1].state
	if err := c.alter(1, 0, 1, 2); err != nil {
		t.Fatal(err)
	}
	c.nodes[1].state = old
	if err := c.alter(1, 0, 1, 2, 3); !errors.Is(err, ErrFencedVersion) {
		t.Errorf("an older version: %v", err)
	}
	c.beat(1)
	if err := c.alter(1, 0, 2); !errors.Is(err, ErrNotAttested) {
		t.Errorf("a set without its master: %v", err)
	}
	c.nodes[2].state = c.nodes[1].state
	c.nodes[2].state.BrokerID = 2
	if err := c.alter(2, 0, 2); !errors.Is(err, ErrNotMaster) {
		t.Errorf("another than the master: %v", err)
	}
	c.nodes[1].state.MasterEpoch--
	if err := c.alter(1, 0, 1); !errors.Is(err, ErrFencedEpoch) {
		t.Errorf("an older epoch: %v", err)
	}
}

// A member that crashed stays doubtful until this very process of it is attested.
func TestDoubtIsOfAnIncarnation(t *testing.T) {
	c := three(t)
	stale := c.nodes[2]
	c.boot(2, false, 1, 0)
	c.beat(1)
	fresh := c.nodes[2]
	c.nodes[2] = stale
	stale.header.BrokerID = 2
	if err := c.alter(1, 0, 1, 2, 3); err != nil {
		t.Fatal(err) // the attest of its last process says nothing of it, and takes nothing away
	}
	if !c.c.groups[0].nodes[1].doubtful {
		t.Error("the attest of an earlier process took the doubt away")
	}
	c.nodes[2] = fresh
	if err := c.alter(1, 0, 1, 2, 3); err != nil || c.c.groups[0].nodes[1].doubtful {
		t.Errorf("attested: %v, doubtful %t", err, c.c.groups[0].nodes[1].doubtful)
	}
	if err := c.alter(1, 0, 1); err != nil {
		t.Fatal(err)
	}
	c.nodes[2] = stale
	if err := c.alter(1, 0, 1, 2); !errors.Is(err, ErrNotAttested) {
		t.Errorf("an earlier process joins: %v", err)
	}
}

// A controller that starts anew gives nobody a reign before the leases of its past are over, and knows what it knew.
func TestControllerRestarts(t *testing.T) {
	c := three(t)
	saved := c.c.Metadata()
	again := newCouncil(t, true, saved)
	if got := string(again.c.Metadata()); got != string(saved) {
		t.Errorf("read back as %s, want %s", got, saved)
	}
	again.nodes, again.now = c.nodes, time.Second
	again.beat(2)
	again.beat(3)
	again.leads(1, "just started")
	again.now += 3100 * time.Millisecond
	again.beat(2)
	again.leads(2, "the lease of the past is over; the other candidate is silent")

	forgetful := newCouncil(t, false, nil)
	forgetful.boot(1, false, 7, 100)
	forgetful.leads(0, "without metadata it waits")
	forgetful.now += 3100 * time.Millisecond
	if s := forgetful.beat(1); s.MasterID != 1 || s.MasterEpoch != 8 {
		t.Errorf("got %+v, want an epoch above all that were seen", s)
	}
}

func TestLeaveHandsOver(t *testing.T) {
	c := three(t)
	h := c.nodes[1].header.BrokerHeader
	c.c.Leave(c.now, 99, &h)
	c.leads(1, "a stranger's connection says goodbye")
	c.c.Leave(c.now, 1, &h)
	c.leads(3, "it stops in order: nobody waits for its lease")
}

// An operator can have a master whatever is lost, and not beside one.
func TestElectByHand(t *testing.T) {
	c := three(t)
	if _, err := c.c.Elect(c.now, &remoting.ElectMasterHeader{BrokerName: "g", BrokerID: 2, Unclean: true}); !errors.Is(err, ErrMasterExists) {
		t.Errorf("beside a master: %v", err)
	}
	c.c.Closed(2)
	c.c.Closed(3)
	c.boot(1, false, 0, 0)
	if _, err := c.c.Elect(c.now, &remoting.ElectMasterHeader{BrokerName: "g"}); !errors.Is(err, ErrNoCandidate) {
		t.Errorf("nobody is beyond doubt: %v", err)
	}
	if s, err := c.c.Elect(c.now, &remoting.ElectMasterHeader{BrokerName: "g", Unclean: true}); err != nil || s.MasterID != 1 || len(s.Members) != 1 {
		t.Errorf("by force: %+v, %v", s, err)
	}
}

func TestMetadataIsChecked(t *testing.T) {
	good := string(three(t).c.Metadata())
	for _, bad := range []string{"", "x", strings.Replace(good, "true", "maybe", 1), good + "node 9\n", strings.Replace(good, "1", "2", 1)} {
		if _, err := NewController(DefaultControllerConfig(), []byte(bad)); !errors.Is(err, ErrMetadata) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
