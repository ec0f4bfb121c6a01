package history

import (
	"errors"
	"fmt"
)

// ErrMalformed is what every MalformedError is.
var ErrMalformed = errors.New("history: malformed")

// MalformedError says where a history breaks which rule. It prints as FILE:LINE: rule.
type MalformedError struct {
	File string
	Line int // from 1; in a binary history the number of the record
	Rule string
}

func (e *MalformedError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Rule) }

// Is makes errors.Is(err, ErrMalformed) true.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// Open reads a run directory, a binary history or a JSON Lines file. A history that was cut off by a SIGKILL of its
// writer reads fine; one that breaks the rules of contracts.md section 3 is a *MalformedError.
func Open(path string) (*History, error) { return nil, errors.ErrUnsupported }

// History returns what was recorded so far, of a Recorder with Options.Memory. No shard may record meanwhile.
func (r *Recorder) History() (*History, error) { return nil, errors.ErrUnsupported }

// Walk calls yield with every event of the file at path, in order of time. The event is yield's only until it returns.
func Walk(path string, header func(Header) error, yield func(h *Names, e *Event) error) error {
	return errors.ErrUnsupported
}

// Names gives the strings of an event's symbols.
type Names struct{ names []string }

// Name returns the string that s stands for.
func (n *Names) Name(s Sym) string { return n.names[s] }
