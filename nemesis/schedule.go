package nemesis

import "fmt"

// Schedule is a sequence of faults, in the order of At.
type Schedule []Fault

// String says what the fault does, to whom, and how it ends.
func (f Fault) String() string {
	text := string(f.Kind)
	if f.Target != "" {
		text += " of " + string(f.Target)
	}
	if f.Recovery != "" {
		text += fmt.Sprintf(", %s", f.Recovery)
	}
	return text
}
