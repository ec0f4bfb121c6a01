package history

// Header is the first line of a history: what ran, what was promised, where each queue begins.
// Source: contracts.md section 3.
type Header struct {
	Version  int               `json:"history"` // 1
	Name     string            `json:"name,omitempty"`
	Seed     uint64            `json:"seed,omitempty"`
	System   string            `json:"system,omitempty"`   // reference:rocketmq-5, rocketmq:5.5.0 ...
	Contract string            `json:"contract,omitempty"` // SYNC_MASTER+ASYNC_FLUSH ...; empty: stated by Promises, or nothing is promised
	Profile  Profile           `json:"profile,omitzero"`
	Nodes    []string          `json:"nodes,omitempty"`
	Masters  map[string]string `json:"masters"` // queue group -> node that serves it at first

	Promises   map[string]Promise `json:"promises,omitempty"`   // by status; wins over Contract
	Reads      string             `json:"reads,omitempty"`      // "linearizable" or "prefix" (default by profile)
	ReadsLevel Level              `json:"readsLevel,omitempty"` // level of the evidence that a delivery is; default by profile, else memory
	Sparse     bool               `json:"sparse,omitempty"`     // offsets have gaps by design
	Base       map[string]int64   `json:"base,omitempty"`       // queue -> offset below which all is inherited
	Expect     Expect             `json:"expect,omitzero"`
}

// Profile names the semantics of the system under test.
type Profile struct {
	Name           string `json:"name,omitempty"` // rocketmq-4.9, rocketmq-5 (default), holdfast
	InSyncReplicas int    `json:"inSyncReplicas,omitempty"`
	// TransientStorePool says that messages wait in the broker's own memory before they reach the page cache.
	TransientStorePool bool `json:"transientStorePool,omitempty"`
}

// Expect says what a run must have had to mean anything.
type Expect struct {
	MinAcks int64 `json:"minAcks,omitempty"` // fewer acknowledged sends: inconclusive
}

// Level says what destroys a copy. The empty level is no copy.
type Level string

const (
	Memory Level = "memory" // dies with the process
	Cache  Level = "cache"  // dies with the power
	Disk   Level = "disk"   // dies with the disk
)

// Promise is what one status stands for, in one of two forms: a number of copies at a level, or the acker's copy and
// that of every replica.
type Promise struct {
	Copies   int   `json:"copies,omitempty"`
	Level    Level `json:"level,omitempty"`
	Acker    Level `json:"acker,omitempty"`
	Replicas Level `json:"replicas,omitempty"`
	Merging  bool  `json:"merging,omitempty"` // a failover keeps what any surviving copy holds
}
