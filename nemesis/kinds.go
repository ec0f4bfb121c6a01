package nemesis

import (
	"slices"
	"time"
)

// Limits of a fault's figures. They keep a file with a slip of the pen from stopping a run for days.
const (
	LengthMax = 24 * time.Hour       // At, For, Window and the length of a plan
	DelayMax  = time.Hour            // Delay and Jitter of packets and fsyncs
	JumpMax   = 366 * 24 * time.Hour // Delay of ClockJump, in either direction
	PPMMax    = 500_000              // PPM of ClockDrift, in either direction: half as fast again
	RateMax   = 1 << 40              // Rate, bytes/s
	BytesMax  = 1 << 50              // Bytes
	TimesMax  = 1_000_000            // Times
	PathMax   = 255                  // length of Path and Version
)

// kindRule says which figures and targets a kind takes.
type kindRule struct {
	kind     Kind
	does     string   // one line, for editors and lists
	params   []string // names in files; those of need must be given
	need     []string
	targets  []Target
	stops    bool // it takes nodes down, so that it has a recovery
	restarts bool // it stops nodes and starts them again by itself
}

// kindRules is the table of kinds: faults.md section 1.
var kindRules = []kindRule{
	{kind: None, does: "nothing: the healthy system"},

	{kind: Kill, does: "SIGKILL; the page cache lives on", targets: nodeTargets, stops: true},
	{kind: Pause, does: "SIGSTOP until it ends", targets: nodeTargets},
	{kind: Stop, does: "SIGTERM, a graceful stop", targets: nodeTargets, stops: true},
	{kind: Restart, does: "each node in turn: graceful stop, start, caught up", targets: nodeTargets, restarts: true},
	{kind: Upgrade, does: "as restart, with another version of the system", targets: nodeTargets, restarts: true, params: []string{"version"}, need: []string{"version"}},
	{kind: Promote, does: "by hand: the master is stopped and the slave takes over; with target slave, while the master runs on", targets: []Target{Master, Leader, Slave}, stops: true},
	{kind: Power, does: "power loss: un-synced bytes and names vanish, packets drop from that instant on", targets: nodeTargets, stops: true, params: []string{"after", "window", "survive"}},
	{kind: DiskLost, does: "killed, and returns on an empty disk", targets: nodeTargets, stops: true},

	{kind: Partition, does: "packets dropped, by shape", targets: nodeTargets, params: []string{"shape", "peer"}},
	{kind: Delay, does: "packets late", targets: nodeTargets, params: []string{"peer", "delay", "jitter", "distribution"}, need: []string{"delay"}},
	{kind: Loss, does: "a share of packets dropped", targets: nodeTargets, params: []string{"peer", "percent"}, need: []string{"percent"}},
	{kind: Duplicate, does: "a share of packets twice", targets: nodeTargets, params: []string{"peer", "percent"}, need: []string{"percent"}},
	{kind: Reorder, does: "a share of packets overtaken", targets: nodeTargets, params: []string{"peer", "percent", "delay"}, need: []string{"percent"}},
	{kind: Bandwidth, does: "at most rate bytes/s", targets: nodeTargets, params: []string{"peer", "rate"}, need: []string{"rate"}},
	{kind: Clog, does: "connections stay open, no bytes pass until it ends", targets: nodeTargets, params: []string{"peer"}},

	{kind: FsyncError, does: "fsync fails with EIO", targets: nodeTargets, params: []string{"path", "times", "pages"}},
	{kind: FsyncSlow, does: "each fsync later by delay", targets: nodeTargets, params: []string{"path", "delay"}, need: []string{"delay"}},
	{kind: WriteError, does: "writes fail with EIO", targets: nodeTargets, params: []string{"path", "times"}},
	{kind: ReadError, does: "reads fail with EIO", targets: nodeTargets, params: []string{"path", "times"}},
	{kind: DiskFull, does: "writes fail with ENOSPC once bytes are used up", targets: nodeTargets, params: []string{"bytes"}},
	{kind: BitFlip, does: "killed; bits that an fsync covered are flipped while the node is down", targets: nodeTargets, stops: true, params: []string{"path", "bytes"}},

	{kind: ClockJump, does: "the wall clock jumps by delay, backwards when negative", targets: nodeTargets, params: []string{"delay"}, need: []string{"delay"}},
	{kind: ClockDrift, does: "the wall clock runs fast by ppm, slow when negative", targets: nodeTargets, params: []string{"ppm"}, need: []string{"ppm"}},
}

var nodeTargets = []Target{Master, Slave, Leader, Minority, Majority, All, Random}

// Kinds lists the kinds in the order of faults.md section 1.
func Kinds() []Kind {
	kinds := make([]Kind, len(kindRules))
	for i, r := range kindRules {
		kinds[i] = r.kind
	}
	return kinds
}

// Targets lists what a fault may strike, in print order.
func Targets() []Target { return slices.Clone(nodeTargets) }

// Peers lists what may be the other end of a network fault, in print order.
func Peers() []Target { return []Target{Master, Slave, Leader, All, Clients, Servers} }

// Recoveries lists the recoveries in print order.
func Recoveries() []Recovery { return []Recovery{Returns, Promoted} }

// Shapes lists the shapes of partitions in print order.
func Shapes() []Shape { return []Shape{Full, OneWay, Isolate, Bridge, Ring} }

// Distributions lists the spreads of delays, the default first.
func Distributions() []string { return []string{"uniform", "normal", "pareto"} }

// PageFates lists what becomes of the pages of a failed fsync, the default first.
func PageFates() []string { return []string{"drop", "keep"} }

// rule returns the rule of a kind; false for an unknown one.
func (k Kind) rule() (kindRule, bool) {
	i := slices.IndexFunc(kindRules, func(r kindRule) bool { return r.kind == k })
	if i < 0 {
		return kindRule{}, false
	}
	return kindRules[i], true
}

// Does says in one line what the kind does; "" for an unknown one.
func (k Kind) Does() string {
	r, _ := k.rule()
	return r.does
}

// Stops says whether the kind takes nodes down, so that a fault of it has a recovery.
func (k Kind) Stops() bool {
	r, _ := k.rule()
	return r.stops
}

// Lasts says whether the kind does nothing unless it lasts: For must be above 0.
func (k Kind) Lasts() bool {
	r, known := k.rule()
	return known && k != None && !r.stops && !r.restarts
}

// Params lists the figures that the kind takes, by their names in files, in the order of Params' fields.
func (k Kind) Params() []string {
	r, _ := k.rule()
	var names []string
	for _, p := range params {
		if slices.Contains(r.params, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// Needs lists the figures without which the kind does nothing; each is among Params.
func (k Kind) Needs() []string {
	r, _ := k.rule()
	return slices.Clone(r.need)
}

// Targets lists what the kind can strike.
func (k Kind) Targets() []Target {
	r, _ := k.rule()
	return slices.Clone(r.targets)
}
