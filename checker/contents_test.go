package checker_test

import (
	"testing"

	"holdfast/checker"
)

const (
	linearReads = `"promises":{"SEND_OK":{"acker":"disk"}},"reads":"linearizable"`
	violated    = checker.Violated
	within      = checker.LossWithinContract
)

func TestContents(t *testing.T) {
	kept := `
	final a-0 a/T/0 0:1 1:2 end=2`
	run(t, []row{
		{clause: "a value never sent", header: async, text: twoSent + `
			final a-0 a/T/0 0:1 1:2 2:99 end=3`, verdict: violated, linearizable: "invalid", anomalies: "phantom=1"},
		{clause: "a value whose send definitely failed", header: async, text: twoSent + `
			50-60 fail 3
			70-80 poll a/T/0 from=2 2:3` + kept, verdict: violated, linearizable: "invalid", anomalies: "aborted-read=1"},
		{clause: "failed, then retried with success", header: async, text: `
			10-20 fail 1
			30-40 send 1 a/T/0@0 retry=1
			final a-0 a/T/0 0:1 end=1`},
		{clause: "corrupt as delivered", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:x` + kept, verdict: violated, anomalies: "corrupt=1"},
		{clause: "corrupt, whatever value it says", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:2x` + kept, verdict: violated, anomalies: "corrupt=1"},
		{clause: "acknowledged in another queue", header: async, text: `
			10-20 send 1 a/T/0@0
			30-40 send 2 a/T/1@0
			final a-0 a/T/0 0:1 1:2 end=2
			final a-0 a/T/1 0:2 end=1`, verdict: violated, linearizable: "invalid", anomalies: "inconsistent-offsets=1"},
		{clause: "sent to another queue with unknown outcome", header: async, text: `
			10-20 send 1 a/T/0@0
			30- info 2 a/T/1
			final a-0 a/T/0 0:1 1:2 end=2`, verdict: violated, linearizable: "invalid", anomalies: "phantom=1"},
		{clause: "two values read at one offset of one epoch", header: async, text: twoSent + `
			15- info 3
			50-60 poll a/T/0 from=0 0:1 1:3` + kept, verdict: violated, linearizable: "invalid", anomalies: "dirty-read=1 inconsistent-offsets=1"},
		{clause: "acknowledgements are evidence: two values acknowledged at one offset", header: async, text: twoSent + `
			50-60 send 3 a/T/0@1
			final a-0 a/T/0 0:1 1:3 end=2`, verdict: violated, linearizable: "invalid", anomalies: "inconsistent-offsets=1 lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
		{clause: "an acknowledged value found elsewhere, its own offset taken", header: async, text: `
			10-20 send 1 a/T/0@0
			30-40 send 2 a/T/0@1
			12- info 3
			final a-0 a/T/0 0:3 1:2 2:1 end=3`, verdict: violated, linearizable: "invalid", anomalies: "inconsistent-offsets=2"},
		{clause: "an acknowledged value found elsewhere, its own offset empty", header: async, text: twoSent + `
			final a-0 a/T/0 1:2 2:1 end=3`, verdict: violated, linearizable: "invalid", anomalies: "duplicate=1"},
		{clause: "one value at two offsets, acknowledged once and never retried", header: async, text: twoSent + `
			final a-0 a/T/0 0:1 1:2 2:1 end=3`, verdict: violated, linearizable: "invalid", anomalies: "duplicate=1"},
		{clause: "one value at two offsets after a retry", header: async, text: `
			10- info 1
			30-40 send 1 a/T/0@1 retry=1
			final a-0 a/T/0 0:1 1:1 end=2`, anomalies: "duplicate=1"},
		{clause: "one value at two offsets of an unknown send", header: async, text: twoSent + `
			5- info 3
			final a-0 a/T/0 0:1 1:2 2:3 3:3 end=4`, anomalies: "duplicate=1"},
		{clause: "a hole that nothing fills", header: async, text: `
			10-20 send 1 a/T/0@0
			30-40 send 2 a/T/0@2
			final a-0 a/T/0 0:1 2:2 end=3`, verdict: violated, linearizable: "invalid", anomalies: "hole=1"},
		{clause: "an end that somebody saw claims that every offset below exists", header: async, text: twoSent + `
			50-60 poll a/T/0 from=2 end=3` + kept, verdict: violated, linearizable: "invalid", anomalies: "hole=1"},
		{clause: "a hole that an unknown send can have filled", header: async, text: `
			10-20 send 1 a/T/0@0
			15- info 3
			30-40 send 2 a/T/0@2
			final a-0 a/T/0 0:1 2:2 end=3`},
		{clause: "a hole that the unknown send came too late for", header: async, text: `
			10-20 send 1 a/T/0@0
			30-40 send 2 a/T/0@2
			45- info 3
			final a-0 a/T/0 0:1 2:2 end=3`, verdict: violated, linearizable: "invalid", anomalies: "hole=1"},
		{clause: "the unknown send named another queue", header: async, text: `
			10-20 send 1 a/T/0@0
			15- info 3 a/T/1
			30-40 send 2 a/T/0@2
			final a-0 a/T/0 0:1 2:2 end=3`, verdict: violated, linearizable: "invalid", anomalies: "hole=1"},
		{clause: "two queues with a hole each, one unknown send names none", header: async, text: `
			15- info 3
			30-40 send 2 a/T/0@1
			30-40 send 4 a/T/1@1
			final a-0 a/T/0 1:2 end=2
			final a-0 a/T/1 1:4 end=2`, verdict: violated, linearizable: "invalid", anomalies: "hole=1"},
		{clause: "two queues with a hole each, one send names its queue, the other none", header: async, text: `
			15- info 3 a/T/1
			16- info 5
			30-40 send 2 a/T/0@1
			30-40 send 4 a/T/1@1
			final a-0 a/T/0 1:2 end=2
			final a-0 a/T/1 1:4 end=2`},
		{clause: "each end claims what is below it, by its own time", header: async, text: `
			10-20 send 1 a/T/0@0
			55- info 3
			65- info 4
			50-60 poll a/T/0 from=3 end=2
			80-90 poll a/T/0 from=3 end=3
			final a-0 a/T/0 0:1 end=3`},
		{clause: "holes take the unknown sends by deadline, not by queue", header: async, text: `
			15- info 3
			45- info 5
			30-60 send 2 a/T/0@1
			30-40 send 4 a/T/1@1
			final a-0 a/T/0 1:2 end=2
			final a-0 a/T/1 1:4 end=2`},
		{clause: "a retry of what was seen may fill a hole itself", header: async, text: `
			10- info 1
			30- info 1 retry=1
			40-45 send 2 a/T/0@2
			final a-0 a/T/0 1:1 2:2 end=3`},
		{clause: "a hole of an earlier epoch is filled once, one that was cut off is another", header: linearReads, text: `
			15- info 3
			30-40 send 2 a/T/0@1` + powerCut + `
			400-410 poll a/T/0 from=0 end=0
			420-430 send 4 a/T/0@1
			final a-0 a/T/0 1:4 end=2`, verdict: violated, linearizable: "invalid", anomalies: "hole=1 lost-suffix=1 lost-write=1 offset-reuse=1", lost: "SEND_OK=1"},
		{clause: "gaps by design", header: async + `,"sparse":true`, text: `
			10-20 send 1 a/T/0@0
			30-40 send 2 a/T/0@2
			50-60 poll a/T/0 from=0 0:1 2:2
			final a-0 a/T/0 0:1 2:2 end=3`},
		{clause: "a base: what is below is inherited", header: async + `,"base":{"a/T/0":5000}`, text: `
			10-20 send 1 a/T/0@5000
			final a-0 a/T/0 4999:77 5000:1 end=5001`},
		{clause: "acknowledged below the base", header: async + `,"base":{"a/T/0":5000}`, text: `
			10-20 send 1 a/T/0@4999
			final a-0 a/T/0 4999:1 end=5000`, verdict: violated, linearizable: "invalid", anomalies: "inconsistent-offsets=1"},
		{clause: "without the base a hole", header: async, text: `
			10-20 send 1 a/T/0@5000
			final a-0 a/T/0 5000:1 end=5001`, verdict: violated, linearizable: "invalid", anomalies: "hole=5000"},
		{clause: "a read with a message beyond its own end", header: async, text: twoSent + `
			final a-0 a/T/0 0:1 1:2 end=1`, verdict: violated, linearizable: "invalid", anomalies: "inconsistent-offsets=2"},
	})
}

func TestOrderInTime(t *testing.T) {
	run(t, []row{
		{clause: "a later send at a lower offset", header: async, text: `
			10-20 send 1 a/T/0@1 p=1
			30-40 send 2 a/T/0@0 p=2
			final a-0 a/T/0 0:2 1:1 end=2`, verdict: violated, linearizable: "invalid", anomalies: "realtime-order=1"},
		{clause: "of one client", header: async, text: `
			10-20 send 1 a/T/0@1
			30-40 send 2 a/T/0@0
			final a-0 a/T/0 0:2 1:1 end=2`, verdict: violated, linearizable: "invalid", anomalies: "nonmonotonic-send=1 realtime-order=1"},
		{clause: "sends that overlap are free", header: async, text: `
			10-35 send 1 a/T/0@1
			30-40 send 2 a/T/0@0
			final a-0 a/T/0 0:2 1:1 end=2`},
		{clause: "intervals are closed", header: async, text: `
			10-30 send 1 a/T/0@1
			30-40 send 2 a/T/0@0
			final a-0 a/T/0 0:2 1:1 end=2`},
		{clause: "another epoch begins anew", header: async, text: `
			10-20 send 1 a/T/0@0
			30-40 send 2 a/T/0@1` + powerCut + `
			400-410 send 3 a/T/0@0
			final a-0 a/T/0 0:3 end=1`, verdict: within, anomalies: "lost-suffix=2 lost-write=2 offset-reuse=1", lost: "SEND_OK=2"},
		{clause: "a record returned before its send began, also for prefix reads", header: async, text: `
			5-6 poll a/T/0 from=0 0:1
			10-20 send 1 a/T/0@0
			final a-0 a/T/0 0:1 end=1`, verdict: violated, linearizable: "invalid", anomalies: "realtime-order=1"},
		{clause: "also from a slave", header: async, text: `
			5-6 poll a/T/0 from=0 0:1 node=a-1
			10-20 send 1 a/T/0@0
			final a-0 a/T/0 0:1 end=1`, verdict: violated, linearizable: "invalid", anomalies: "realtime-order=1"},
		{clause: "an unknown send that was seen has an invoke", header: async, text: `
			10-20 send 1 a/T/0@1
			30- info 2
			final a-0 a/T/0 0:2 1:1 end=2`, verdict: violated, linearizable: "invalid", anomalies: "realtime-order=1"},
		{clause: "an end that is too small, where reads are prefix reads", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 end=1
			final a-0 a/T/0 0:1 1:2 end=2`},
		{clause: "an end that is too small, where reads are linearizable", header: linearReads, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 end=1
			final a-0 a/T/0 0:1 1:2 end=2`, verdict: violated, linearizable: "invalid", anomalies: "stale-read=1"},
		{clause: "beyond an answer that did not say the end", header: linearReads, text: twoSent + `
			35- info 3
			50-60 poll a/T/0 from=2 2:3
			70-80 poll a/T/0 from=2 end=2
			final a-0 a/T/0 0:1 1:2 2:3 end=3`, verdict: violated, linearizable: "invalid", anomalies: "stale-read=1"},
		{clause: "the holdfast profile promises that", header: holdfast2, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 end=1
			final a-0 a/T/0 0:1 1:2 end=2`, verdict: violated, linearizable: "invalid", anomalies: "stale-read=1"},
		{clause: "not of a slave", header: linearReads, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 end=1 node=a-1
			final a-0 a/T/0 0:1 1:2 end=2`},
		{clause: "a send that spans a boundary accuses nobody", header: async, text: `
			10-20 send 1 a/T/0@1
			90-250 send 2 a/T/0@0` + powerCut + `
			final a-0 a/T/0 0:2 1:1 end=2`},
		{clause: "but fills its offset", header: async, text: `
			90-250 send 2 a/T/0@0
			100,101,200,300 power a-0 processes=1
			400-410 send 1 a/T/0@1
			final a-0 a/T/0 0:2 1:1 end=2`},
		{clause: "a role line that changes nothing ends no epoch", header: async, text: `
			10-20 send 1 a/T/0@0
			100 role a a-0 master
			200 role a a-1 slave
			400-410 send 2 a/T/0@0
			final a-0 a/T/0 0:2 end=1`, verdict: violated, linearizable: "invalid", anomalies: "inconsistent-offsets=1 lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
		{clause: "a restart of another node ends no epoch", header: async, text: `
			10-20 send 1 a/T/0@0
			100,101,200,300 power a-1 processes=1
			400-410 send 2 a/T/0@0
			final a-0 a/T/0 0:2 end=1`, verdict: violated, linearizable: "invalid", anomalies: "inconsistent-offsets=1 lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
	})
}

func TestConsumers(t *testing.T) {
	kept := `
	final a-0 a/T/0 0:1 1:2 end=2`
	run(t, []row{
		{clause: "an answer below its from", header: async, text: twoSent + `
			50-60 poll a/T/0 from=1 0:1` + kept, verdict: violated, anomalies: "nonmonotonic-poll=1"},
		{clause: "an answer that leaves out a known offset", header: async, text: twoSent + `
			45-46 send 3 a/T/0@2
			50-60 poll a/T/0 from=0 0:1 2:3
			final a-0 a/T/0 0:1 1:2 2:3 end=3`, verdict: violated, anomalies: "poll-skip=1"},
		{clause: "an answer that is out of order", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 1:2 0:1` + kept, verdict: violated, anomalies: "nonmonotonic-poll=1"},
		{clause: "one that nobody acknowledged, but a poll of this epoch returned", header: async, text: twoSent + powerCut + `
			210- info 3
			190-400 poll a/T/0 from=2 2:3
			410-420 poll a/T/0 from=2 2:3
			430-440 send 4 a/T/0@3
			450-460 poll a/T/0 from=2 3:4
			final a-0 a/T/0 0:1 1:2 2:3 3:4 end=4`, verdict: violated, anomalies: "poll-skip=1"},
		{clause: "an offset that nobody knows, after a loss", header: async, text: `
			10-20 send 1 a/T/0@0
			15- info 3
			30-40 send 2 a/T/0@2` + powerCut + `
			400-410 poll a/T/0 from=0 0:1 2:2
			final a-0 a/T/0 0:1 2:2 end=3`},
		{clause: "an offset of a lost message, after the loss", header: async, text: twoSent + `
			45-46 send 3 a/T/0@2` + powerCut + `
			400-410 poll a/T/0 from=0 0:1 2:3
			final a-0 a/T/0 0:1 2:3 end=3`, verdict: within, anomalies: "lost-middle=1 lost-write=1 poll-skip=1", lost: "SEND_OK=1"},
		{clause: "at its beginning", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 1:2` + kept, verdict: violated, anomalies: "poll-skip=1"},
		{clause: "not with a filter", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 1:2 filter=true` + kept},
		{clause: "not what is expired", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 1:2
			final a-0 a/T/0 from=1 first=1 1:2 end=2`},
		{clause: "redelivery to another client", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:2 group=g p=1
			70-80 poll a/T/0 from=1 1:2 group=g p=2` + kept, anomalies: "redelivery=1"},
		{clause: "redelivery after a smaller from", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:2 group=g
			70-80 poll a/T/0 from=0 0:1 1:2 group=g
			90-95 poll a/T/0 from=0 0:1 group=g` + kept, anomalies: "redelivery=2"},
		{clause: "another group is given all", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:2 group=g
			70-80 poll a/T/0 from=0 0:1 1:2 group=h` + kept},
		{clause: "delivered and gone with the page cache", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:2` + powerCut + `
			final a-0 a/T/0 0:1 end=1`, verdict: within, anomalies: "dirty-read=1 lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
		{clause: "delivered under SYNC_FLUSH, rocketmq-5: from the disk", header: asyncSync, text: `
			10-20 send 1 a/T/0@0
			30- info 2
			50-60 poll a/T/0 from=0 0:1 1:2` + powerCut + `
			final a-0 a/T/0 0:1 end=1`, verdict: violated, anomalies: "dirty-read=1"},
		{clause: "delivered under SYNC_FLUSH, rocketmq-4.9: from the cache", header: asyncSync + `,"profile":{"name":"rocketmq-4.9"}`, text: `
			10-20 send 1 a/T/0@0
			30- info 2
			50-60 poll a/T/0 from=0 0:1 1:2` + powerCut + `
			final a-0 a/T/0 0:1 end=1`, verdict: within, anomalies: "dirty-read=1"},
		{clause: "elsewhere the readsLevel, default memory", header: `"promises":{"SEND_OK":{"acker":"disk"}}`, text: `
			10-20 send 1 a/T/0@0
			30- info 2
			50-60 poll a/T/0 from=0 0:1 1:2
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: within, anomalies: "dirty-read=1"},
		{clause: "a stated readsLevel", header: `"promises":{"SEND_OK":{"acker":"disk"}},"readsLevel":"cache"`, text: `
			10-20 send 1 a/T/0@0
			30- info 2
			50-60 poll a/T/0 from=0 0:1 1:2
			100,101,200,300 kill a-0 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: violated, anomalies: "dirty-read=1"},
		{clause: "delivered and gone without a fault", header: async, text: `
			10-20 send 1 a/T/0@0
			30- info 2
			50-60 poll a/T/0 from=0 0:1 1:2
			final a-0 a/T/0 0:1 end=1`, verdict: violated, anomalies: "dirty-read=1"},
		{clause: "an answer below its from after a loss", header: async, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:2` + powerCut + `
			400-410 poll a/T/0 from=2 0:1
			final a-0 a/T/0 0:1 end=1`, verdict: within, anomalies: "dirty-read=1 lost-suffix=1 lost-write=1 nonmonotonic-poll=1", lost: "SEND_OK=1"},
		{clause: "an answer below its from after a loss that was promised not to be", header: asyncSync, text: twoSent + `
			50-60 poll a/T/0 from=0 0:1 1:2` + powerCut + `
			400-410 poll a/T/0 from=2 0:1` + kept, verdict: violated, anomalies: "nonmonotonic-poll=1"},
	})
}

func TestReuseAndDivergence(t *testing.T) {
	run(t, []row{
		{clause: "an offset given again although its disk lived", header: asyncSync, text: twoSent + powerCut + `
			400-410 send 3 a/T/0@1
			final a-0 a/T/0 0:1 1:3 end=2`, verdict: violated, anomalies: "lost-suffix=1 lost-write=1 offset-reuse=1", lost: "SEND_OK=1"},
		{clause: "given again to a send of unknown outcome", header: async, text: twoSent + powerCut + `
			400- info 3
			final a-0 a/T/0 0:1 1:3 end=2`, verdict: within, anomalies: "lost-suffix=1 lost-write=1 offset-reuse=1", lost: "SEND_OK=1"},
		{clause: "what was never acknowledged is not reused", header: async, text: `
			10-20 send 1 a/T/0@0
			30- info 2
			50-60 poll a/T/0 from=1 1:2` + powerCut + `
			400-410 send 3 a/T/0@1
			final a-0 a/T/0 0:1 1:3 end=2`, verdict: within, anomalies: "dirty-read=1"},
		{clause: "what a slave holds is not given anew", header: async, text: twoSent + powerCut + `
			210- info 3
			400-410 poll a/T/0 from=1 1:3 node=a-1
			final a-0 a/T/0 0:1 1:2 end=2`, verdict: within, anomalies: "dirty-read=1"},
		{clause: "a status that is not listed needs a fault of its acker", header: async, text: `
			10-20 send 1 a/T/0@0 PUBACK
			100,101,200,300 kill a-1 processes=1
			400 role a a-1 master
			final a-1 a/T/0 end=0`, verdict: violated, anomalies: "lost-suffix=1 lost-write=1", lost: "PUBACK=1"},
		{clause: "two masters, and the other one lost its power: reported", header: async, text: `
			10-20 send 1 a/T/0@0 node=a-0
			30-40 send 2 a/T/0@0 node=a-1
			100,101,200,300 power a-1 processes=1
			final a-0 a/T/0 0:1 end=1`, verdict: within, linearizable: "invalid", anomalies: "divergence=1 lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
		{clause: "two replicas differ where nothing is promised", header: async, text: twoSent + powerCut + `
			400-410 send 3 a/T/0@1
			final a-0 a/T/0 0:1 1:3 end=2
			final a-1 a/T/0 0:1 1:2 end=2`, verdict: within, anomalies: "divergence=1 lost-suffix=1 lost-write=1 offset-reuse=1", lost: "SEND_OK=1"},
		{clause: "two replicas differ although the copy was promised", header: sync2, text: twoSent + powerCut + `
			400-410 send 3 a/T/0@1
			final a-0 a/T/0 0:1 1:3 end=2
			final a-1 a/T/0 0:1 1:2 end=2`, verdict: violated, anomalies: "divergence=1 lost-suffix=1 lost-write=1 offset-reuse=1", lost: "SEND_OK=1"},
		{clause: "a replica that is behind is no divergence", header: sync2, text: twoSent + `
			final a-0 a/T/0 0:1 1:2 end=2
			final a-1 a/T/0 0:1 end=1`},
		{clause: "two masters acknowledge one offset in one epoch", header: async, text: `
			10-20 send 1 a/T/0@0 node=a-0
			30-40 send 2 a/T/0@0 node=a-1
			final a-0 a/T/0 0:1 end=1`, verdict: violated, linearizable: "invalid", anomalies: "divergence=1 lost-suffix=1 lost-write=1", lost: "SEND_OK=1"},
	})
}
