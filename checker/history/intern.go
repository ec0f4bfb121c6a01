package history

import "sync"

// functionNames and typeNames are the words of the JSON Lines form.
var (
	functionNames = [...]string{"", "send", "poll", "read", "commit", "fault", "role", "caught-up"}
	typeNames     = [...]string{"", "invoke", "ok", "fail", "info"}
)

// interner gives equal strings one Sym. It is safe for concurrent use.
type interner struct {
	mu    sync.RWMutex
	syms  map[string]Sym
	names []string
}

func newInterner() *interner {
	return &interner{syms: map[string]Sym{"": 0}, names: []string{""}}
}

func (in *interner) sym(s []byte) Sym {
	in.mu.RLock()
	v, ok := in.syms[string(s)]
	in.mu.RUnlock()
	if ok {
		return v
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if v, ok := in.syms[string(s)]; ok {
		return v
	}
	v = Sym(len(in.names))
	in.names = append(in.names, string(s))
	in.syms[in.names[v]] = v
	return v
}

func (in *interner) name(s Sym) string {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.names[s]
}

func (in *interner) all() []string {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.names
}
