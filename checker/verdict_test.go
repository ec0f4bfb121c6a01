package checker_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"holdfast/checker"
)

const (
	async       = `"contract":"ASYNC_MASTER+ASYNC_FLUSH"`
	asyncSync   = `"contract":"ASYNC_MASTER+SYNC_FLUSH"`
	transient   = `"contract":"ASYNC_MASTER+ASYNC_FLUSH","profile":{"transientStorePool":true}`
	sync1       = `"contract":"SYNC_MASTER+ASYNC_FLUSH"`
	sync2       = `"contract":"SYNC_MASTER+ASYNC_FLUSH","profile":{"inSyncReplicas":2}`
	sync2Sync   = `"contract":"SYNC_MASTER+SYNC_FLUSH","profile":{"inSyncReplicas":2}`
	sync49      = `"contract":"SYNC_MASTER+ASYNC_FLUSH","profile":{"name":"rocketmq-4.9"}`
	holdfast2   = `"contract":"SYNC_MASTER+ASYNC_FLUSH","profile":{"name":"holdfast","inSyncReplicas":2}`
	copies2     = `"promises":{"PUBACK":{"copies":2,"level":"cache","merging":true}}`
	threeCopies = `"nodes":["n1","n2","n3"],"masters":{"a":"n1"},` + copies2
)

// row is one clause of the contract, as a history and what it comes to. anomalies is "name=n ..." with everything that
// is counted, in alphabetical order; "" is none. lost and acked likewise.
type row struct {
	clause, header, text string
	verdict              checker.Verdict
	linearizable         string // valid by default
	anomalies, lost      string
	reason               string // a part of one of the reasons
}

func figures(m map[string]int64) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s=%d", k, m[k]))
	}
	return strings.Join(out, " ")
}

func run(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.clause, func(t *testing.T) {
			got := judge(t, r.header, r.text)
			want := r.linearizable
			if want == "" {
				want = "valid"
			}
			if got.Verdict != r.verdict || got.Linearizable != want || figures(got.Anomalies) != r.anomalies || figures(got.Lost) != r.lost {
				t.Errorf("got  %s, %s, anomalies %q, lost %q\nwant %s, %s, anomalies %q, lost %q\n%s%s", got.Verdict, got.Linearizable, figures(got.Anomalies), figures(got.Lost),
					r.verdict, want, r.anomalies, r.lost, got.Text(), script(r.header, r.text))
			}
			if r.reason != "" && !strings.Contains(strings.Join(got.Reasons, "\n"), r.reason) {
				t.Errorf("got reasons %q, want one with %q", got.Reasons, r.reason)
			}
			shown := map[string]bool{}
			for _, f := range got.Findings {
				shown[f.Anomaly] = true
				if len(f.Ops) == 0 || f.Explain == "" || f.Queue == "" {
					t.Errorf("a finding without ops, queue or explanation: %+v", f)
				}
			}
			for name := range got.Anomalies {
				if !shown[name] {
					t.Errorf("no finding shows %s", name)
				}
			}
		})
	}
}

const twoSent = `
	10-20 send 1 a/T/0@0
	30-40 send 2 a/T/0@1`

const powerCut = `
	100,101,200,300 power a-0 processes=1`

func TestLosses(t *testing.T) {
	lost1 := func(kind string) string { return kind + "=1 lost-write=1" }
	run(t, []row{
		{clause: "everything is there", header: async, text: twoSent + `
			final a-0 a/T/0 0:1 1:2 end=2`},
		{clause: "an acknowledged offset at the end is lost, without a fault always", header: async, text: twoSent + `
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "lost whatever its status without a fault", header: async, text: `
			10-20 send 1 a/T/0@0 WEIRD
			30-40 send 2 a/T/0@1
			final a-0 a/T/0 1:2 end=2`, verdict: checker.Violated, anomalies: lost1("lost-prefix"), lost: "WEIRD=1"},
		{clause: "lost in the middle", header: async, text: twoSent + `
			50-60 send 3 a/T/0@2
			final a-0 a/T/0 0:1 2:3 end=3`, verdict: checker.Violated, anomalies: lost1("lost-middle"), lost: "SEND_OK=1"},
		{clause: "everything lost counts as a suffix", header: async, text: twoSent + powerCut + `
			final a-0 a/T/0 end=0`, verdict: checker.LossWithinContract, anomalies: "lost-suffix=2 lost-write=2", lost: "SEND_OK=2"},
		{clause: "a page cache dies with the power", header: async, text: twoSent + powerCut + `
			final a-0 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "a page cache survives a kill", header: async, text: twoSent + `
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "memory dies with the process", header: transient, text: twoSent + `
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "transientStorePool as a word of the contract", header: `"contract":"ASYNC_MASTER+ASYNC_FLUSH+transientStorePool"`, text: twoSent + `
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "a disk survives a power cut", header: asyncSync, text: twoSent + powerCut + `
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "a disk dies with the disk", header: asyncSync, text: twoSent + `
			100,101,200,300 disk-lost a-0 files=3
			final a-0 a/T/0 end=0`, verdict: checker.LossWithinContract, anomalies: "lost-suffix=2 lost-write=2", lost: "SEND_OK=2"},
		{clause: "FLUSH_DISK_TIMEOUT stands for the cache", header: asyncSync, text: `
			10-20 send 1 a/T/0@0 FLUSH_DISK_TIMEOUT` + powerCut + `
			final a-0 a/T/0 end=0`, verdict: checker.LossWithinContract, anomalies: lost1("lost-suffix"), lost: "FLUSH_DISK_TIMEOUT=1"},
		{clause: "acknowledged after the restart is not struck", header: async, text: `
			10-20 send 1 a/T/0@0` + powerCut + `
			400-500 send 2 a/T/0@1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "acknowledged after the start but before the restart is struck", header: async, text: `
			10-20 send 1 a/T/0@0` + powerCut + `
			90-150 send 2 a/T/0@1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "another node's power excuses nothing", header: async, text: twoSent + `
			100,101,200,300 power a-1 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "other faults excuse no loss", header: async, text: twoSent + `
			100,300 pause a-0 ms=50
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1"},
		{clause: "a status that is not listed promises nothing under a kill of its acker", header: async, text: `
			10-20 send 1 a/T/0@0 PUBACK
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 end=0`, verdict: checker.LossWithinContract, anomalies: lost1("lost-suffix"), lost: "PUBACK=1"},
		{clause: "but not under a pause", header: async, text: `
			10-20 send 1 a/T/0@0 PUBACK
			100,300 pause a-0 ms=5
			final a-0 a/T/0 end=0`, verdict: checker.Violated, anomalies: lost1("lost-suffix"), lost: "PUBACK=1"},
		{clause: "neither contract nor promises: nothing under faults, and a reason", text: twoSent + `
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1("lost-suffix"), lost: "SEND_OK=1", reason: "nothing is promised"},
		{clause: "corrupt in the complete read is lost too", header: async, text: twoSent + `
			final a-0 a/T/0 0:1 1:x end=2`, verdict: checker.Violated, anomalies: "corrupt=1 lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
		{clause: "below the first that the node reports is expired, not lost", header: async, text: twoSent + `
			final a-0 a/T/0 from=1 first=1 1:2 end=2`},
		{clause: "a retry that survived saves the message", header: async, text: `
			10- info 1
			30-40 send 1 a/T/0@0 retry=1
			final a-0 a/T/0 0:1 end=1`},
		{clause: "lost in one epoch, a later one survives: still a suffix of its epoch", header: async, text: twoSent + powerCut + `
			400-410 send 3 a/T/0@1
			final a-0 a/T/0 0:1 1:3 end=2`, verdict: checker.LossWithinContract, anomalies: "lost-suffix=1 lost-write=1 offset-reuse=1", lost: "SEND_OK=1"},
	})
}

func TestFailover(t *testing.T) {
	promoted := powerCut + `
	150 role a a-1 master`
	lost1 := "lost-suffix=1 lost-write=1"
	run(t, []row{
		{clause: "async: a failover after a power cut may lose", header: async, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "async and sync flush: the disk of another node helps not", header: asyncSync, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "a role change without a fault excuses nothing", header: async, text: twoSent + `
			150 role a a-1 master
			final a-1 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "nor with a partition", header: async, text: twoSent + `
			100,300 partition a-0 packets=10
			150 role a a-1 master
			final a-1 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "two in sync: the replica has it", header: sync2, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "two in sync, but both lost power", header: sync2, text: twoSent + `
			100,101,200,300 power a-0,a-1 processes=2
			150 role a a-1 master
			final a-1 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "a copy counts again after caught-up, not merging", header: sync2, text: `
			1,2,3,4 power a-1 processes=1
			2-2 send 1 a/T/0@0
			6 caught-up a a-1
			100,101,200,300 power a-0 processes=1
			150 role a a-1 master
			final a-1 a/T/0 end=0`, verdict: checker.Violated, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "caught-up does not bring back what the master itself had lost", header: sync2, text: twoSent + `
			100,101,200,300 power a-0,a-1 processes=2
			400 caught-up a a-1
			500,501,600,700 kill a-0 processes=1
			550 role a a-1 master
			final a-1 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "inSyncReplicas 1 promises no replica", header: sync1, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "4.9 always waits for one", header: sync49, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "two in sync of three nodes promise no particular replica", header: `"nodes":["a-0","a-1","a-2"],` + sync2, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "FLUSH_SLAVE_TIMEOUT promises no replica", header: sync2, text: `
			10-20 send 1 a/T/0@0 FLUSH_SLAVE_TIMEOUT` + promoted + `
			final a-1 a/T/0 end=0`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "FLUSH_SLAVE_TIMEOUT=1"},
		{clause: "FLUSH_DISK_TIMEOUT promises the replica of its SEND_OK", header: sync2Sync, text: `
			10-20 send 1 a/T/0@0 FLUSH_DISK_TIMEOUT` + promoted + `
			final a-1 a/T/0 end=0`, verdict: checker.Violated, anomalies: lost1, lost: "FLUSH_DISK_TIMEOUT=1"},
		{clause: "the master returns without what only the replica has: within, cause replica-only", header: sync2, text: twoSent + powerCut + `
			final a-0 a/T/0 0:1 end=1
			final a-1 a/T/0 0:1 1:2 end=2`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "merging: one of two copies died", header: threeCopies, text: `
			10-20 send 1 a/T/0@0 PUBACK
			100,101,200,300 power n1 processes=1
			150 role a n2 master
			final n2 a/T/0 end=0`, verdict: checker.Violated, anomalies: lost1, lost: "PUBACK=1"},
		{clause: "merging: two of two died", header: threeCopies, text: `
			10-20 send 1 a/T/0@0 PUBACK
			100,101,200,300 power n1,n3 processes=2
			150 role a n2 master
			final n2 a/T/0 end=0`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "PUBACK=1"},
		{clause: "merging: caught up in between", header: threeCopies, text: `
			10-20 send 1 a/T/0@0 PUBACK
			100,101,200,300 power n1 processes=1
			400 caught-up a n1
			500,501,600,700 power n2 processes=1
			final n1 a/T/0 end=0`, verdict: checker.Violated, anomalies: lost1, lost: "PUBACK=1"},
		{clause: "holdfast merges: one power cut loses nothing", header: holdfast2, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "stated replicas without merging", header: `"promises":{"SEND_OK":{"acker":"disk","replicas":"cache","merging":false}}`, text: twoSent + promoted + `
			final a-1 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: lost1, lost: "SEND_OK=1"},
		{clause: "promises win over the contract", header: asyncSync + `,"promises":{"SEND_OK":{"acker":"memory"}}`, text: twoSent + `
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: checker.LossWithinContract, anomalies: lost1, lost: "SEND_OK=1"},
	})
}

func TestInconclusive(t *testing.T) {
	kept := `
	final a-0 a/T/0 0:1 1:2 end=2`
	run(t, []row{
		{clause: "a power cut without effect", header: async, text: twoSent + `
			100,101,200,300 power a-0` + kept, verdict: checker.Inconclusive, reason: "no effect"},
		{clause: "a power cut of no process", header: async, text: twoSent + `
			100,101,200,300 power a-0 processes=0 bytesLost=5` + kept, verdict: checker.Inconclusive, reason: "no effect"},
		{clause: "an effect stands on heal where there is no down", header: async, text: twoSent + `
			100,300 pause a-0 ms=5` + kept},
		{clause: "a stopping fault without down", header: async, text: twoSent + `
			100,-,200,300 power a-0 processes=1` + kept, verdict: checker.Inconclusive, reason: "no down"},
		{clause: "without heal", header: async, text: twoSent + `
			100,101,200,- power a-0 processes=1` + kept, verdict: checker.Inconclusive, reason: "not healed"},
		{clause: "a partition that dropped nothing", header: async, text: twoSent + `
			100,200 partition a-0 packets=0` + kept, verdict: checker.Inconclusive, reason: "packets"},
		{clause: "a disk fault by bytes", header: async, text: twoSent + `
			100,200 bit-flip a-0 bytes=1` + kept},
		{clause: "a disk fault by calls", header: async, text: twoSent + `
			100,200 fsync-error a-0 calls=1` + kept},
		{clause: "a lost disk without files", header: async, text: twoSent + `
			100,101,200,300 disk-lost a-0 processes=1` + kept, verdict: checker.Inconclusive, reason: "files"},
		{clause: "also if something was lost", header: async, text: twoSent + `
			100,101,200,300 power a-0
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Inconclusive, anomalies: "lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
		{clause: "but a violation stays one", header: asyncSync, text: twoSent + `
			100,101,200,300 power a-0
			final a-0 a/T/0 0:1 end=1`, verdict: checker.Violated, anomalies: "lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
		{clause: "too few acknowledged", header: async + `,"expect":{"minAcks":3}`, text: twoSent + kept, verdict: checker.Inconclusive, reason: "at least 3"},
		{clause: "nothing acknowledged", header: async, text: `
			10-20 info 1
			final a-0 a/T/0 end=0`, verdict: checker.Inconclusive, reason: "nothing was acknowledged"},
		{clause: "one complete read only", header: async, text: twoSent + `
			50-60 read a-0 a/T/0 from=0 0:1 1:2 end=2`, verdict: checker.Inconclusive, reason: "no complete read"},
		{clause: "two reads that differ in the end", header: async, text: twoSent + `
			50-60 read a-0 a/T/0 from=0 0:1 1:2 end=2
			70-80 read a-0 a/T/0 from=0 0:1 end=1`, verdict: checker.Inconclusive, reason: "no complete read"},
		{clause: "reads of another node", header: async, text: twoSent + `
			final a-1 a/T/0 0:1 1:2 end=2`, verdict: checker.Inconclusive, reason: "no complete read"},
		{clause: "reads before the last line of a send", header: async, text: twoSent + `
			5-2000000000 info 9` + kept, verdict: checker.Inconclusive, reason: "no complete read"},
		{clause: "reads before the heal", header: async, text: twoSent + `
			100,101,200,2000000000 power a-0 processes=1` + kept, verdict: checker.Inconclusive, reason: "no complete read"},
		{clause: "reads that begin too late", header: async, text: twoSent + `
			50-60 read a-0 a/T/0 from=1 1:2 end=2
			70-80 read a-0 a/T/0 from=1 1:2 end=2`, verdict: checker.Inconclusive, anomalies: "unseen=1", reason: "no complete read"},
		{clause: "unseen: acknowledged and never returned", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 end=2`, verdict: checker.Inconclusive, anomalies: "unseen=1", reason: "no complete read"},
		{clause: "lost for certain without a complete read", header: asyncSync, text: twoSent + powerCut + `
			400-410 send 3 a/T/0@1`, verdict: checker.Violated, anomalies: "lost-suffix=1 lost-write=1 offset-reuse=1 unseen=2", lost: "SEND_OK=1"},
		{clause: "nobody serves the group", header: `"masters":{},` + async, text: twoSent + `
			final a-0 a/T/0 0:1 1:2 end=2`, verdict: checker.Inconclusive, reason: "unknown node"},
	})
}
