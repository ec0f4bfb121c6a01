package nemesis

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// FieldError says which field of a fault, a mix or a timing is wrong: what was found there and what is allowed.
type FieldError struct {
	Field   string // its name in files: kind, target, percent ...
	Found   string // "" when it is missing
	Allowed string
}

func (e *FieldError) Error() string {
	found := strconv.Quote(e.Found)
	if e.Found == "" {
		found = "nothing"
	}
	return fmt.Sprintf("%s: %s found; allowed: %s", e.Field, found, e.Allowed)
}

// Validate returns nil, or a *FieldError that names the first bad field. It expects defaults to be filled in: see Fault.WithDefaults.
// A figure that the kind does not have is an error, and so is a recovery of a fault that stops no node.
func Validate(f Fault) error {
	r, known := f.Kind.rule()
	if !known {
		return &FieldError{"kind", string(f.Kind), list(Kinds())}
	}
	if err := r.target(f.Target); err != nil {
		return err
	}
	if err := r.times(f); err != nil {
		return err
	}
	if err := r.recovery(f.Recovery); err != nil {
		return err
	}
	if f.Recovery == Promoted && f.Kind != Promote && (f.Target == All || f.Target == Slave) {
		return &FieldError{"recovery", string(f.Recovery), fmt.Sprintf("%s with target %s: no other node is there to take its role", Returns, f.Target)}
	}
	return r.figures(f.Params)
}

func (r kindRule) target(t Target) error {
	switch {
	case len(r.targets) == 0 && t != "":
		return &FieldError{"target", string(t), fmt.Sprintf("none with kind %s", r.kind)}
	case len(r.targets) > 0 && !slices.Contains(r.targets, t):
		return &FieldError{"target", string(t), list(r.targets)}
	}
	return nil
}

func (r kindRule) times(f Fault) error {
	if f.At < 0 || f.At > LengthMax {
		return &FieldError{"at", short(f.At), "0s to " + short(LengthMax)}
	}
	allowed, ok := "0s to "+short(LengthMax), f.For >= 0 && f.For <= LengthMax
	switch {
	case r.kind == None:
		allowed, ok = "none with kind none", f.For == 0
	case r.kind.Lasts():
		allowed, ok = "above "+allowed, ok && f.For > 0
	}
	if !ok {
		return &FieldError{"for", short(f.For), allowed}
	}
	return nil
}

func (r kindRule) recovery(given Recovery) error {
	allowed := Recoveries()
	switch {
	case r.kind == Promote:
		allowed = []Recovery{Promoted}
	case !r.stops:
		if given == "" {
			return nil
		}
		return &FieldError{"recovery", string(given), fmt.Sprintf("none with kind %s, which leaves no node down", r.kind)}
	}
	if !slices.Contains(allowed, given) {
		return &FieldError{"recovery", string(given), list(allowed)}
	}
	return nil
}

func (r kindRule) figures(given Params) error {
	for _, p := range params {
		text := p.text(&given)
		if !slices.Contains(r.params, p.name) {
			if text != "" {
				return &FieldError{p.name, text, fmt.Sprintf("with kind %s %s", r.kind, orNone(list(r.kind.Params())))}
			}
			continue
		}
		if allowed, ok := p.check(r.kind, &given); !ok {
			return &FieldError{p.name, text, allowed}
		}
	}
	return nil
}

func orNone(text string) string {
	if text == "" {
		return "no figures"
	}
	return text
}

// WithDefaults fills in what the fault leaves open: target master, recovery returns, shape full, distribution uniform, path
// commitlog, pages drop, one bit, and 10 ms for a packet to be overtaken. Figures that the kind needs and nobody can guess stay empty.
func (f Fault) WithDefaults() Fault {
	r, known := f.Kind.rule()
	if !known {
		return f
	}
	if f.Target == "" && len(r.targets) > 0 {
		f.Target = r.targets[0]
	}
	if f.Recovery == "" && r.stops {
		f.Recovery = Returns
		if f.Kind == Promote {
			f.Recovery = Promoted
		}
	}
	f.Params = f.Params.withDefaults(f.Kind, r)
	return f
}

func (p Params) withDefaults(k Kind, r kindRule) Params {
	has := func(name string) bool { return slices.Contains(r.params, name) }
	if has("shape") && p.Shape == "" {
		p.Shape = Full
	}
	if has("distribution") && p.Distribution == "" {
		p.Distribution = Distributions()[0]
	}
	if has("path") && p.Path == "" {
		p.Path = "commitlog"
	}
	if has("pages") && p.Pages == "" {
		p.Pages = PageFates()[0]
	}
	if k == BitFlip && p.Bytes == 0 {
		p.Bytes = 1
	}
	if k == Reorder && p.Delay == 0 {
		p.Delay = 10 * time.Millisecond
	}
	return p
}
