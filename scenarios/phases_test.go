package scenarios

import (
	"errors"
	"strings"
	"testing"
	"time"

	"holdfast/checker/history"
	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

const msec = int64(time.Millisecond)

// phased is a history with a fault from 100 ms to 200 ms, down at 110, and sends of a status that take 5 ms each.
func phased(sends ...history.SendOp) *history.History {
	h := &history.History{
		Faults:   []history.FaultOp{{Name: "kill", Start: 100 * msec, Down: 110 * msec, Restart: 190 * msec, Heal: 200 * msec}},
		Statuses: []string{"", "SEND_OK", "FLUSH_SLAVE_TIMEOUT"}, Nodes: []string{"", "a-0", "a-1"}, Sends: sends,
		Header: history.Header{Masters: map[string]string{"a": "a-0"}},
	}
	return h
}

func sent(at, took int64, status uint16) history.SendOp {
	return history.SendOp{Invoke: at * msec, Return: (at + took) * msec, Status: status, Type: history.OK, Node: 1}
}

func TestPhases(t *testing.T) {
	got := phases(phased(
		sent(10, 5, 1), sent(20, 7, 1), // before
		sent(96, 30, 2),  // spans the begin: nobody's
		sent(105, 20, 2), // between start and down: nobody's
		sent(120, 3, 2), sent(130, 9, 2), sent(140, 5, 2),
		sent(185, 10, 2), // spans the restart
		sent(192, 2, 1),  // between restart and heal
		sent(205, 1, 1),
		history.SendOp{Invoke: 150 * msec, Return: history.Never, Type: history.Info},
	))
	for i, want := range []struct {
		status string
		counts result.StatusTime
	}{
		{"SEND_OK", result.StatusTime{Count: 2, MedianMS: 7, MaxMS: 7, FirstMS: 15, LastMS: 27}},
		{"FLUSH_SLAVE_TIMEOUT", result.StatusTime{Count: 3, MedianMS: 5, MaxMS: 9, FirstMS: 13, LastMS: 35}},
		{"SEND_OK", result.StatusTime{Count: 1, MedianMS: 2, MaxMS: 2, FirstMS: 4, LastMS: 4}},
		{"SEND_OK", result.StatusTime{Count: 1, MedianMS: 1, MaxMS: 1, FirstMS: 6, LastMS: 6}},
	} {
		if p := got[i]; p.Name != phaseNames[i] || len(p.Statuses) != 1 || p.Statuses[want.status] != want.counts {
			t.Errorf("%s: got %+v, want %s %+v alone", phaseNames[i], p, want.status, want.counts)
		}
	}
	paused := phased(sent(120, 3, 2), sent(185, 2, 1))
	paused.Faults[0] = history.FaultOp{Name: "pause", Start: 100 * msec, Down: -1, Restart: -1, Heal: 200 * msec, Effect: map[string]int64{"ms": 80}}
	if got := phases(paused)[1].Statuses; len(got) != 1 || got["FLUSH_SLAVE_TIMEOUT"].Count != 1 {
		t.Errorf("of a pause of 80 ms, healed after 100: got %+v, want the one that was sent while it lasted", got)
	}
	healthy := phased(sent(10, 5, 1), sent(300, 5, 2))
	healthy.Faults = nil
	if got := phases(healthy); len(got) != 1 || len(got[0].Statuses) != 2 {
		t.Errorf("without a fault: got %+v, want all of it before", got)
	}
	healless := phased()
	healless.Faults[0].Heal = -1
	if got := phases(healless); got != nil {
		t.Errorf("a fault without a heal has the phases %+v", got)
	}
}

// delivered is a history in which one reader gets the messages 1 to 5 around a kill from 1 s to 3 s that was healed after 4 s.
const delivered = `{"history":1,"name":"x","seed":1,"system":"x","contract":"ASYNC_MASTER+ASYNC_FLUSH","profile":{},"nodes":["a-0","a-1"],"masters":{"a":"a-0"}}
{"t":100000000,"op":1,"p":1,"type":"invoke","f":"send","value":1}
{"t":100000000,"op":2,"p":1,"type":"invoke","f":"send","value":2}
{"t":110000000,"op":1,"p":1,"type":"ok","f":"send","value":1,"queue":"a/T/0","offset":0,"status":"SEND_OK"}
{"t":200000000,"op":3,"p":9,"type":"invoke","f":"poll","queue":"a/T/0","offset":0}
{"t":250000000,"op":3,"p":9,"type":"ok","f":"poll","queue":"a/T/0","msgs":[[0,1],[1,2]],"end":2}
{"t":310000000,"op":2,"p":1,"type":"ok","f":"send","value":2,"queue":"a/T/0","offset":1,"status":"SEND_OK"}
{"t":1000000000,"op":4,"p":-1,"type":"info","f":"fault","name":"kill","nodes":["a-0"],"phase":"start"}
{"t":1000000000,"op":4,"p":-1,"type":"info","f":"fault","name":"kill","nodes":["a-0"],"phase":"down","effect":{"processes":1}}
{"t":2500000000,"op":5,"p":9,"type":"invoke","f":"poll","queue":"a/T/0","offset":2}
{"t":2600000000,"op":5,"p":9,"type":"ok","f":"poll","queue":"a/T/0","node":"a-1","msgs":[[2,3]],"end":3}
{"t":2700000000,"op":6,"p":9,"type":"invoke","f":"poll","queue":"a/T/0","offset":3}
{"t":2900000000,"op":6,"p":9,"type":"ok","f":"poll","queue":"a/T/0","node":"a-1","msgs":[],"end":3}
{"t":3000000000,"op":4,"p":-1,"type":"info","f":"fault","name":"kill","nodes":["a-0"],"phase":"restart"}
{"t":4000000000,"op":4,"p":-1,"type":"info","f":"fault","name":"kill","nodes":["a-0"],"phase":"heal"}
{"t":5000000000,"op":7,"p":9,"type":"invoke","f":"poll","queue":"a/T/0","offset":3}
{"t":5500000000,"op":7,"p":9,"type":"ok","f":"poll","queue":"a/T/0","msgs":[[3,4],[4,5]],"end":5}
`

func TestDeliveriesByPhase(t *testing.T) {
	h, err := history.ReadLines("delivered", strings.NewReader(delivered))
	if err != nil {
		t.Fatal(err)
	}
	got := phases(h)
	for i, want := range []result.Phase{
		{Name: "before", Delivered: 2, GapMS: 750}, {Name: "during", Delivered: 1, GapMS: 1600}, {Name: "healing", GapMS: 1000}, {Name: "after", Delivered: 2, GapMS: 1500},
	} {
		if p := got[i]; p.Name != want.Name || p.Delivered != want.Delivered || p.GapMS != want.GapMS {
			t.Errorf("got %+v, want %+v", p, want)
		}
	}
	// Message 1 was read 140 ms after its acknowledgement, message 2 60 ms before; nobody acknowledged the others.
	if r := readTimes(h); r == nil || *r != (result.ReadTimes{Count: 2, Early: 1, EarliestMS: -60, MedianMS: 140}) {
		t.Errorf("got read times %+v", r)
	}
	cell := &result.Cell{Trials: []result.Trial{{Phases: got, Reads: readTimes(h)}}}
	e := scenario.Expect{Delivered: map[string]scenario.Amount{"during": scenario.Some, "healing": scenario.Some}, EarlyReads: scenario.Nothing}
	all := expectations(e, cell)
	if len(all) != 3 || !all[0].Met || all[1].Met || all[2].Met {
		t.Errorf("got %+v, want that alone met which asks for deliveries during the fault", all)
	}
	if all := expectations(scenario.Expect{EarlyReads: scenario.Nothing}, &result.Cell{Trials: []result.Trial{{}}}); len(all) != 1 || all[0].Met {
		t.Errorf("nobody read: got %+v, want one that failed", all)
	}
}

func TestExpectationsOfPhasesAndStores(t *testing.T) {
	trial := result.Trial{
		Phases: phases(phased(sent(120, 3, 2))),
		Stores: []result.StorePair{{Nodes: [2]string{"a-0", "a-1"}, Ends: [2]int64{9, 9}, Differing: 2, Missing: 4, Frozen: true}},
	}
	e := scenario.Expect{
		During: map[string]scenario.Amount{"FLUSH_SLAVE_TIMEOUT": scenario.Some, "SEND_OK": scenario.Nothing},
		After:  map[string]scenario.Amount{"SEND_OK": scenario.Some}, Logs: "different", Queues: "level",
	}
	unmet := map[string]bool{}
	for _, x := range expectations(e, &result.Cell{Trials: []result.Trial{trial}}) {
		unmet[x.What] = !x.Met
	}
	for what, want := range map[string]bool{
		"during the fault FLUSH_SLAVE_TIMEOUT": false, "during the fault SEND_OK": false, "after the fault SEND_OK": true,
		"commit logs, trial 1, a-1": false, "consume queues, trial 1, a-1": true,
	} {
		if got, asked := unmet[what]; !asked || got != want {
			t.Errorf("%s: asked %v, failed %v, want %v", what, asked, got, want)
		}
	}
	bare := expectations(scenario.Expect{Logs: "equal"}, &result.Cell{Trials: []result.Trial{{}}})
	if len(bare) != 1 || bare[0].Met {
		t.Errorf("stores that nobody compared: got %+v, want one that failed", bare)
	}
}

// TestEarlyAnswers: a node that answers as master before the line that says so would have its answers counted for the one before.
func TestEarlyAnswers(t *testing.T) {
	h := phased(sent(10, 5, 1), sent(150, 5, 1))
	h.Sends[1].Node = 2
	h.Roles = []history.RoleOp{{T: 154 * msec, Node: "a-1", Group: "a", Role: "master"}}
	if err := early(h); err != nil {
		t.Errorf("an answer 1 ms after its line: %v", err)
	}
	h.Roles[0].T = 156 * msec
	var unfit *Unfit
	if err := early(h); !errors.As(err, &unfit) {
		t.Errorf("an answer 1 ms before its line: got %v, want it unfit", err)
	}
	h.Roles = append([]history.RoleOp{{T: 20 * msec, Node: "a-1", Group: "a", Role: "master"}}, h.Roles...)
	if err := early(h); err != nil {
		t.Errorf("of a node that had served before: %v", err)
	}
}
