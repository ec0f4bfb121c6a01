package nemesis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schedule is a sequence of faults, ordered by At. It is data: printed, saved, replayed, shrunk. A runner starts a fault no
// earlier than its At; it may wait for the system to have caught up.
type Schedule []Fault

// Sorted returns the faults ordered by At; those of one instant keep their order.
func (s Schedule) Sorted() Schedule {
	sorted := slices.Clone(s)
	slices.SortStableFunc(sorted, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return sorted
}

// Validate returns nil, or which fault of the schedule is wrong, counted from 1, and why; a *FieldError is wrapped. Faults out of
// order are an error.
func (s Schedule) Validate() error {
	for i, f := range s {
		if err := Validate(f); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
		if i > 0 && f.At < s[i-1].At {
			return fmt.Errorf("fault %d: %w", i+1, &FieldError{"at", short(f.At), fmt.Sprintf("%s, when the fault before it strikes, or later", short(s[i-1].At))})
		}
	}
	return nil
}

// End returns when the last fault begins to recover, after the schedule began.
func (s Schedule) End() time.Duration {
	var end time.Duration
	for _, f := range s {
		end = max(end, f.At+f.For)
	}
	return end
}

// String lists the faults, one a line.
func (s Schedule) String() string {
	var b strings.Builder
	for _, f := range s {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// String is the fault in one line: "+2s loss of slave for 5s: peer clients, percent 10".
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "+%s %s", short(f.At), f.Kind)
	if f.Target != "" {
		fmt.Fprintf(&b, " of %s", f.Target)
	}
	if f.For > 0 {
		fmt.Fprintf(&b, " for %s", short(f.For))
	}
	if f.Recovery != "" {
		fmt.Fprintf(&b, ", then %s", f.Recovery)
	}
	if f.Off {
		b.WriteString(", switched off")
	}
	if figures := f.Params.String(); figures != "" {
		b.WriteString(": " + figures)
	}
	return b.String()
}

// String lists the figures that are given: "peer clients, percent 10".
func (p Params) String() string {
	var parts []string
	for _, x := range params {
		if text := x.text(&p); text != "" {
			parts = append(parts, x.name+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}
