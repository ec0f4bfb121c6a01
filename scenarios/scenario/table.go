package scenario

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/checker/anomaly"
	"holdfast/nemesis"
	"holdfast/reports/result"
)

// The table of every key that a scenario or a schedule file may have. The parser, the encoder and the JSON Schema all come from it.

const (
	seedMax    = math.MaxInt64 // histories hold integers below 2^63
	catalogMax = 20            // rows of the catalogue of known bugs
)

var (
	sentence = line{says: "one line of up to 160 characters", pattern: regexp.MustCompile(`^[^\x00-\x1f]+$`), max: 160}
	version  = line{says: "a version, such as 5.5.0, in quotes where it reads as a number", pattern: regexp.MustCompile(`^[A-Za-z0-9._-]+$`), max: 60}
	local    = line{says: "a path below the store, without ..", pattern: regexp.MustCompile(`^[^\x00-\x1f/][^\x00-\x1f]*$`), max: nemesis.PathMax}
	key      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]{0,99}$`)
	status   = regexp.MustCompile(`^[A-Z][A-Z_]{0,59}$`)
	phase    = regexp.MustCompile(`^(before|during|healing|after)$`)
	id       = line{says: "lower-case words and numbers joined by hyphens, such as power-returns", pattern: regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), max: 60}
	seed     = integer{min: 0, max: seedMax}
	lasting  = duration{0, nemesis.LengthMax}
	systems  = list{of: line{says: "reference, rocketmq, reference:PROFILE, rocketmq:VERSION", pattern: regexp.MustCompile(`^(reference|rocketmq)(:[A-Za-z0-9.-]{1,30})?$`), max: 40}, max: 20, lenient: true}
	flushes  = words{list: []string{asyncFlush, syncFlush}}
	amounts  = wordsOf([]Amount{Nothing, Some, Any})
	verdicts = wordsOf([]result.Verdict{result.Kept, result.LossWithinContract, result.Inconclusive, result.Violated})
)

// anomalies are the names that a checker may report.
var anomalies = []string{
	anomaly.Phantom, anomaly.AbortedRead, anomaly.Corrupt, anomaly.InconsistentOffsets, anomaly.RealtimeOrder, anomaly.NonmonotonicSend,
	anomaly.Duplicate, anomaly.Hole, anomaly.StaleRead, anomaly.LostWrite, anomaly.LostSuffix, anomaly.LostPrefix, anomaly.LostMiddle,
	anomaly.DirtyRead, anomaly.OffsetReuse, anomaly.Divergence, anomaly.PollSkip, anomaly.NonmonotonicPoll, anomaly.Redelivery, anomaly.Unseen,
}

// fresh makes objects that begin as zero values.
func fresh[T any]() func() any { return func() any { return new(T) } }

// The tables, made once. Nobody changes them.
var (
	scenarioTable = sync.OnceValue(scenarioForm)
	savedTable    = sync.OnceValue(savedForm)
	figures       = sync.OnceValue(figureTable)
)

// scenarioForm is a whole scenario file.
func scenarioForm() *object {
	f := &object{fresh: func() any { s := Fresh(); return &s }, check: checkScenario, extra: notBoth}
	f.fields = []field{
		{key: "scenario", doc: "The scenario's name: that of the file without .yaml.", form: id, of: at(func(s *Scenario) any { return &s.Name }), required: true},
		{key: "shows", doc: "What the scenario shows, in one line.", form: sentence, of: at(func(s *Scenario) any { return &s.Shows }), required: true},
		{key: "covers", doc: "Rows of the catalogue of known bugs that it reproduces.", form: list{of: integer{min: 1, max: catalogMax}, max: catalogMax, lenient: true}, of: at(func(s *Scenario) any { return &s.Covers })},
		{key: "claim", doc: "What people say, tested beside the contract: one machine may fail and nothing is lost.", form: sentence, of: at(func(s *Scenario) any { return &s.Claim })},
		{key: "systems", doc: "Systems under test that it is for. Default: all.", form: systems, of: at(func(s *Scenario) any { return &s.Systems })},
		{key: "contracts", doc: "Contracts that it runs for by default. SYNC_MASTER without a number stands for both. Default: all six.", form: contractList{}, of: at(func(s *Scenario) any { return &s.Contracts })},
		{key: "cluster", doc: "The group of brokers.", form: clusterForm(), of: at(func(s *Scenario) any { return &s.Cluster })},
		{key: "disk", doc: "How the lossy disk behaves.", form: diskForm(), of: at(func(s *Scenario) any { return &s.Disk })},
		{key: "load", doc: "What clients do while faults strike.", form: loadForm(), of: at(func(s *Scenario) any { return &s.Load })},
		{key: "faults", doc: "The schedule: faults in the order in which they strike. None: the healthy system.", form: list{of: faultForm(), max: nemesis.FaultsMax}, of: at(func(s *Scenario) any { return &s.Faults })},
		{key: "plan", doc: "Instead of faults: a schedule drawn from a seed.", form: optional{of: planForm()}, of: at(func(s *Scenario) any { return &s.Plan })},
		{key: "promise", doc: "What SEND_OK stands for in a group that elects its master. Default: what brokerRole and flushDiskType say.", form: optional{of: promiseForm()}, of: at(func(s *Scenario) any { return &s.Promise })},
		{key: "stores", doc: "compare: after the reads the nodes are killed, and the stores compared byte by byte. Default none.", form: wordsOf([]string{"none", "compare"}), of: at(func(s *Scenario) any { return &s.Stores })},
		{key: "cuts", doc: "Trials, each on fresh stores. Power cuts are spread over the flush window by their number. Default 3.", form: integer{min: 1, max: 10_000}, of: at(func(s *Scenario) any { return &s.Cuts })},
		{key: "marks", doc: "States that a search of seeds in the simulator must reach, or it proves nothing.", form: list{of: wordsOf(MarkNames()), max: 50}, of: at(func(s *Scenario) any { return &s.Marks })},
		{key: "expect", doc: "What must come out, pooled over the trials. Of a list the first entry that is for the system and the contract holds.", form: list{of: expectForm(), max: 50, lenient: true}, of: at(func(s *Scenario) any { return &s.Expect })},
	}
	return f
}

func clusterForm() *object {
	zero := func() any { c := Fresh().Cluster; return &c }
	return &object{fresh: zero, fields: []field{
		{key: "brokers", doc: "Nodes of a group: a master and its slaves. Default 2.", form: integer{min: 1, max: 5}, of: at(func(c *Cluster) any { return &c.Brokers })},
		{key: "groups", doc: "Broker groups of so many nodes each, over which the topic's queues are spread. Faults strike the first; new sends leave a group that is gone. Default 1.", form: integer{min: 1, max: 4}, of: at(func(c *Cluster) any { return &c.Groups })},
		{key: "mode", doc: "Who decides which broker is the master: classic (the operator; default), controller (RocketMQ 5), dledger (Raft). Of Apache RocketMQ alone, but for classic.", form: wordsOf([]string{"classic", "controller", "dledger"}), of: at(func(c *Cluster) any { return &c.Mode })},
		{key: "rtt", doc: "Base round trip of the network. Default: what the world has.", form: duration{0, 10 * time.Second}, of: at(func(c *Cluster) any { return &c.RTT })},
		{key: "slaveFlushDiskType", doc: "flushDiskType of the slaves. Default: the master's.", form: flushes, of: at(func(c *Cluster) any { return &c.SlaveFlushDiskType })},
		{key: "transientStorePool", doc: "transientStorePoolEnable=true: acknowledged from memory, before the page cache. With ASYNC_FLUSH alone.", form: boolean{}, of: at(func(c *Cluster) any { return &c.TransientStorePool })},
		{key: "settings", doc: "Further lines of every broker.conf.", form: mapping{key, setting{}, 100, "a mapping of up to 100 settings of broker.conf, such as flushIntervalCommitLog: 500"}, of: at(func(c *Cluster) any { return &c.Settings })},
	}}
}

func promiseForm() *object {
	return &object{fresh: fresh[Promise](), fields: []field{
		{key: "copies", doc: "How many nodes hold the message when it is acknowledged.", form: integer{min: 1, max: 5}, of: at(func(p *Promise) any { return &p.Copies }), required: true},
		{key: "level", doc: "What a copy survives: memory, cache (the end of the process) or disk (the loss of power).", form: wordsOf([]string{"memory", "cache", "disk"}), of: at(func(p *Promise) any { return &p.Level }), required: true},
	}}
}

func diskForm() *object {
	return &object{fresh: func() any { d := Fresh().Disk; return &d }, fields: []field{
		{key: "model", doc: "What a power cut leaves: worst (nothing that no fsync covered; default) or writeback (pages older than 30 s survive).", form: wordsOf([]string{"worst", "writeback"}), of: at(func(d *Disk) any { return &d.Model })},
		{key: "names", doc: "Which syncs make a file's name durable: ext4 (its own fsync; default) or posix (its directory's).", form: wordsOf([]string{"ext4", "posix"}), of: at(func(d *Disk) any { return &d.Names })},
		{key: "size", doc: "Bytes of each node's disk: what diskMaxUsedSpaceRatio and its like are ratios of, and where there is no space for another file. For the simulator alone. Default: more than a run fills.", form: size{1 << 20, 1 << 40}, of: at(func(d *Disk) any { return &d.Size })},
		{key: "fsync", doc: "modelled: durable by bookkeeping (default). real: the disk below is synced as well.", form: wordsOf([]string{"modelled", "real"}), of: at(func(d *Disk) any { return &d.Fsync })},
	}}
}

func loadForm() *object {
	minute := duration{0, 10 * time.Minute}
	return &object{fresh: func() any { l := Fresh().Load; return &l }, fields: []field{
		{key: "rate", doc: "Messages a second. Default: that of the matrix for the system.", form: integer{min: 1, max: 1_000_000, unit: "msg/s"}, of: at(func(l *Workload) any { return &l.Rate })},
		{key: "size", doc: "Mean body; sizes vary by a quarter around it. Default 1KiB.", form: size{64, 4 << 20}, of: at(func(l *Workload) any { return &l.Size })},
		{key: "clients", doc: "Connections. Default 2.", form: integer{min: 1, max: 1000}, of: at(func(l *Workload) any { return &l.Clients })},
		{key: "outstanding", doc: "Sends outstanding on each connection at most. Default 4096: what is sent to a host without power waits for its timeout.", form: integer{min: 1, max: 100_000}, of: at(func(l *Workload) any { return &l.Outstanding })},
		{key: "hold", doc: "How long the rate must have been held before the schedule begins. Default: that of the matrix.", form: minute, of: at(func(l *Workload) any { return &l.Hold })},
		{key: "after", doc: "How long the load goes on after the last heal. Default: that of the matrix.", form: minute, of: at(func(l *Workload) any { return &l.After })},
		{key: "degraded", doc: "Whether the load may begin with other acknowledgements than SEND_OK, and a group with fewer brokers than the contract waits for. Default false.", form: boolean{}, of: at(func(l *Workload) any { return &l.Degraded })},
		{key: "retries", doc: "How often a message is sent again whose send certainly failed, each a new operation, to another group where there is one. Default 0.", form: integer{min: 0, max: 16}, of: at(func(l *Workload) any { return &l.Retries })},
		{key: "timeout", doc: "After which a client gives a request up. Default 8s.", form: duration{time.Millisecond, 10 * time.Minute}, of: at(func(l *Workload) any { return &l.Timeout })},
		{key: "consumers", doc: "Consumers that poll while faults strike. Default 1.", form: integer{min: 0, max: 1000}, of: at(func(l *Workload) any { return &l.Consumers })},
		{key: "pace", doc: "Messages a second that each consumer takes at most, so that it falls behind. Default: as fast as it can.", form: integer{min: 1, max: 1_000_000, unit: "msg/s"}, of: at(func(l *Workload) any { return &l.Pace })},
		{key: "quiet", doc: "How long nothing is sent before the first fault, which then strikes wherever the last fsync was. The pauses of a cell begin spread over the flush window. Default 0s.", form: minute, of: at(func(l *Workload) any { return &l.Quiet })},
	}}
}

func expectForm() *object {
	names := namesOf(anomalies)
	statusAmounts := mapping{status, amounts, 20, "a mapping of statuses, such as FLUSH_SLAVE_TIMEOUT, to none, some or any"}
	return &object{fresh: fresh[Expect](), check: checkExpect, fields: []field{
		{key: "systems", doc: "Only for these systems.", form: systems, of: at(func(e *Expect) any { return &e.Systems })},
		{key: "contracts", doc: "Only for these contracts.", form: contractList{}, of: at(func(e *Expect) any { return &e.Contracts })},
		{key: "verdict", doc: "One of these verdicts.", form: list{of: verdicts, max: 4, lenient: true}, of: at(func(e *Expect) any { return &e.Verdict })},
		{key: "lost", doc: "Acknowledged messages lost.", form: amounts, of: at(func(e *Expect) any { return &e.Lost })},
		{key: "anomalies", doc: "Anomalies that must appear.", form: names, of: at(func(e *Expect) any { return &e.Anomalies })},
		{key: "noAnomalies", doc: "Anomalies that must not appear.", form: names, of: at(func(e *Expect) any { return &e.NoAnomalies })},
		{key: "statuses", doc: "Acknowledgements by status.", form: statusAmounts, of: at(func(e *Expect) any { return &e.Statuses })},
		{key: "before", doc: "Acknowledgements by status until the first fault.", form: statusAmounts, of: at(func(e *Expect) any { return &e.Before })},
		{key: "during", doc: "Acknowledgements by status of what was sent while the first fault was in force.", form: statusAmounts, of: at(func(e *Expect) any { return &e.During })},
		{key: "after", doc: "Acknowledgements by status of what was sent after the first fault was healed.", form: statusAmounts, of: at(func(e *Expect) any { return &e.After })},
		{key: "delivered", doc: "Messages that consumers got, by phase of the first fault: before, during, healing, after.", form: mapping{phase, amounts, 4, "a mapping of before, during, healing or after to none, some or any"}, of: at(func(e *Expect) any { return &e.Delivered })},
		{key: "earlyReads", doc: "Messages that consumers got more than 50 ms before they were acknowledged.", form: amounts, of: at(func(e *Expect) any { return &e.EarlyReads })},
		{key: "logs", doc: "equal or different: the commit logs of the node that serves the group and of another, where stores are compared.", form: wordsOf([]string{"equal", "different"}), of: at(func(e *Expect) any { return &e.Logs })},
		{key: "queues", doc: "level or frozen: whether the consume queues of another node end where those of the node that serves the group end, or stand still before that although its commit log is as long.", form: wordsOf([]string{"level", "frozen"}), of: at(func(e *Expect) any { return &e.Queues })},
		{key: "minAcks", doc: "Fewer acknowledgements make a trial inconclusive.", form: integer{min: 0, max: 1 << 40}, of: at(func(e *Expect) any { return &e.MinAcks })},
	}}
}

func planForm() *object {
	return &object{fresh: func() any { p := freshPlan(); return &p }, check: checkPlan, fields: []field{
		{key: "seed", doc: "Of the plan, when the command gives none. Default 1.", form: seed, of: at(func(p *Plan) any { return &p.Seed })},
		{key: "length", doc: "From the begin of the schedule to the end of the final quiet phase. Default 30s.", form: lasting, of: at(func(p *Plan) any { return &p.Timing.Length })},
		{key: "quiet", doc: "Between two faults, and at the end; a range such as [1s, 3s] is drawn from. Default 2s.", form: ranged{lasting}, of: at(func(p *Plan) any { return ends(&p.Timing.Quiet) })},
		{key: "for", doc: "How long faults last whose choice does not say. Default [1s, 3s].", form: ranged{lasting}, of: at(func(p *Plan) any { return ends(&p.Timing.For) })},
		{key: "mix", doc: "What to draw from.", form: list{of: choiceForm(), max: nemesis.ChoicesMax}, of: at(func(p *Plan) any { return &p.Mix }), required: true},
	}}
}

func ends(r *nemesis.Range) pair { return pair{&r.From, &r.To} }

// figure is a figure of a fault: its key, and how it reads in a fault and, from low to high, in a choice.
type figure struct {
	key, doc string
	form     form
	of       func(*nemesis.Params) any
	ranged   bool // a choice may give a range
}

// figureTable lists the keys of nemesis.Params, in its order.
func figureTable() []figure {
	return []figure{
		{"shape", "partition: its form.", wordsOf(nemesis.Shapes()), func(p *nemesis.Params) any { return &p.Shape }, false},
		{"peer", "network faults: the other end. Default: everybody else.", wordsOf(nemesis.Peers()), func(p *nemesis.Params) any { return &p.Peer }, false},
		{"percent", "loss, duplicate, reorder: share of packets.", number{0, 100, true}, func(p *nemesis.Params) any { return &p.Percent }, true},
		{"delay", "delay, reorder, fsync-slow: how late. clock-jump: how far, backwards when negative.", duration{-nemesis.JumpMax, nemesis.JumpMax}, func(p *nemesis.Params) any { return &p.Delay }, true},
		{"jitter", "delay: spread around it.", duration{0, nemesis.DelayMax}, func(p *nemesis.Params) any { return &p.Jitter }, true},
		{"distribution", "delay: how it is spread.", wordsOf(nemesis.Distributions()), func(p *nemesis.Params) any { return &p.Distribution }, false},
		{"rate", "bandwidth: bytes a second.", size{1, nemesis.RateMax}, func(p *nemesis.Params) any { return &p.Rate }, true},
		{"path", "disk faults: prefix of the file's path below the store. Default commitlog.", local, func(p *nemesis.Params) any { return &p.Path }, false},
		{"times", "fsync-error, write-error, read-error: calls that fail. Default 0: all until it ends.", integer{min: 0, max: nemesis.TimesMax}, func(p *nemesis.Params) any { return &p.Times }, true},
		{"pages", "fsync-error: what becomes of the pages: drop (clean, but not durable; default) or keep.", wordsOf(nemesis.PageFates()), func(p *nemesis.Params) any { return &p.Pages }, false},
		{"bytes", "disk-full: bytes that are left free. bit-flip: how many bits.", size{0, nemesis.BytesMax}, func(p *nemesis.Params) any { return &p.Bytes }, true},
		{"ppm", "clock-drift: parts per million, slow when negative.", number{-nemesis.PPMMax, nemesis.PPMMax, false}, func(p *nemesis.Params) any { return &p.PPM }, true},
		{"version", "upgrade: to which version of the system.", version, func(p *nemesis.Params) any { return &p.Version }, false},
		{"after", "power: how long after an fsync of the commit log ended the cut falls. Default: spread over the window.", lasting, func(p *nemesis.Params) any { return &p.After }, false},
		{"window", "power: the flush window that the cuts of a cell are spread over. Default: 500ms, or the contract's.", lasting, func(p *nemesis.Params) any { return &p.Window }, false},
		{"survive", "power: what survives beyond the disk's model.", surviveForm(), func(p *nemesis.Params) any { return &p.Survive }, false},
	}
}

func surviveForm() *object {
	return &object{fresh: fresh[nemesis.Survive](), fields: []field{
		{key: "percent", doc: "Share of younger pages that survive all the same.", form: integer{min: 0, max: 100}, of: at(func(s *nemesis.Survive) any { return &s.Percent })},
		{key: "writeback", doc: "Pages older than the kernel's expiry, 30 s, survive.", form: boolean{}, of: at(func(s *nemesis.Survive) any { return &s.Writeback })},
		{key: "tear", doc: "The youngest survivor may be torn.", form: boolean{}, of: at(func(s *nemesis.Survive) any { return &s.Tear })},
		{key: "reorder", doc: "Survivors need not be the oldest.", form: boolean{}, of: at(func(s *nemesis.Survive) any { return &s.Reorder })},
	}}
}

// kindDoc lists the kinds and what each does.
func kindDoc() string {
	var b strings.Builder
	b.WriteString("What the fault does.")
	for _, k := range nemesis.Kinds() {
		fmt.Fprintf(&b, " %s: %s.", k, k.Does())
	}
	return b.String()
}

func faultForm() *object {
	f := &object{fresh: fresh[nemesis.Fault](), check: checkFault, extra: kindSchemas}
	f.fields = []field{
		{key: "kind", doc: kindDoc(), form: wordsOf(nemesis.Kinds()), of: at(func(f *nemesis.Fault) any { return &f.Kind }), required: true},
		{key: "target", doc: "Which nodes, by role when it strikes. Default master.", form: wordsOf(nemesis.Targets()), of: at(func(f *nemesis.Fault) any { return &f.Target })},
		{key: "at", doc: "When it strikes at the earliest, after the schedule began. Default 0s.", form: lasting, of: at(func(f *nemesis.Fault) any { return &f.At })},
		{key: "for", doc: "How long until it ends or recovery begins. Default 0s: at once; faults that only last need more.", form: lasting, of: at(func(f *nemesis.Fault) any { return &f.For })},
		{key: "recovery", doc: "Of faults that stop a node: returns in its role (default), or another node is promoted.", form: wordsOf(nemesis.Recoveries()), of: at(func(f *nemesis.Fault) any { return &f.Recovery })},
	}
	for _, x := range figures() {
		f.fields = append(f.fields, field{key: x.key, doc: x.doc, form: x.form, of: at(func(f *nemesis.Fault) any { return x.of(&f.Params) })})
	}
	f.fields = append(f.fields,
		field{key: "seed", doc: "Of what chance decides. Default: drawn from the run's seed.", form: seed, of: at(func(f *nemesis.Fault) any { return &f.Seed })},
		field{key: "off", doc: "Go through every step and strike nothing: the twin of a control.", form: boolean{}, of: at(func(f *nemesis.Fault) any { return &f.Off })},
	)
	return f
}

func choiceForm() *object {
	f := &object{fresh: func() any { return &nemesis.Choice{Weight: 1} }, extra: kindSchemas}
	f.fields = []field{
		{key: "kind", doc: kindDoc(), form: wordsOf(nemesis.Kinds()[1:]), of: at(func(c *nemesis.Choice) any { return &c.Kind }), required: true},
		{key: "weight", doc: "How often in a round. Default 1.", form: integer{min: 1, max: nemesis.WeightMax}, of: at(func(c *nemesis.Choice) any { return &c.Weight })},
		{key: "target", doc: "Which nodes; of a list one is drawn. Default master.", form: list{of: wordsOf(nemesis.Targets()), max: 20, lenient: true}, of: at(func(c *nemesis.Choice) any { return &c.Targets })},
		{key: "recovery", doc: "Of faults that stop a node; of a list one is drawn. Default returns.", form: list{of: wordsOf(nemesis.Recoveries()), max: 20, lenient: true}, of: at(func(c *nemesis.Choice) any { return &c.Recoveries })},
		{key: "for", doc: "How long it lasts; a range such as [1s, 3s] is drawn from. Default: the plan's.", form: optional{ranged{lasting}, at(func(r *nemesis.Range) any { return ends(r) })}, of: at(func(c *nemesis.Choice) any { return &c.For })},
	}
	for _, x := range figures() {
		if !x.ranged {
			f.fields = append(f.fields, field{key: x.key, doc: x.doc, form: x.form, of: at(func(c *nemesis.Choice) any { return x.of(&c.Low) })})
			continue
		}
		f.fields = append(f.fields, field{key: x.key, doc: x.doc + " A range of two is drawn from.", form: ranged{x.form}, of: at(func(c *nemesis.Choice) any {
			return pair{x.of(&c.Low), x.of(&c.High)}
		})})
	}
	return f
}

// kindSchemas say which figures each kind has, for editors.
func kindSchemas() schema {
	var rules []schema
	for _, k := range nemesis.Kinds() {
		without := schema{}
		for _, x := range figures() {
			if !slices.Contains(k.Params(), x.key) {
				without[x.key] = false
			}
		}
		if !k.Stops() {
			without["recovery"] = false
		}
		then := schema{"properties": without}
		if needs := k.Needs(); len(needs) > 0 {
			then["required"] = needs
		}
		rules = append(rules, schema{"if": schema{"properties": schema{"kind": schema{"const": k}}, "required": []string{"kind"}}, "then": then})
	}
	return schema{"allOf": rules}
}

// notBoth says that a scenario has a schedule or a plan.
func notBoth() schema { return schema{"not": schema{"required": []string{"faults", "plan"}}} }
