package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Flaw is one thing wrong with a file.
type Flaw struct {
	File         string
	Line, Column int    // from 1; the column counts characters
	Found        string // what is there
	Allowed      string // what may be there; may be empty
	Mean         string // the nearest that is allowed, when something is near
	Excerpt      string // the line, and a caret below what was found; "" when the file has no such line
}

// Error returns FILE:LINE:COLUMN: what was found; what is allowed; what is near, and the line with a caret below it.
func (f *Flaw) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", f.File, f.Line, f.Column, f.Found)
	if f.Allowed != "" {
		b.WriteString("; allowed: " + f.Allowed)
	}
	if f.Mean != "" {
		fmt.Fprintf(&b, "; did you mean %q?", f.Mean)
	}
	if f.Excerpt != "" {
		b.WriteString("\n" + f.Excerpt)
	}
	return b.String()
}

// ExitCode is that of wrong usage. Source: contracts.md section 2.
func (*Flaw) ExitCode() int { return 64 }

// Flaws are all that is wrong with a file, in the order of its lines; never empty.
type Flaws []*Flaw

func (f Flaws) Error() string {
	lines := make([]string, len(f))
	for i, flaw := range f {
		lines[i] = flaw.Error()
	}
	return strings.Join(lines, "\n")
}

// ExitCode is that of wrong usage. Source: contracts.md section 2.
func (Flaws) ExitCode() int { return 64 }

// usageError is wrong usage without a file to point at.
type usageError struct{ error }

func (usageError) ExitCode() int   { return 64 }
func (e usageError) Unwrap() error { return e.error }

// ErrUnknown says that there is no scenario of a name.
var ErrUnknown = errors.New("scenario: unknown name")

func (f Flaws) sorted() Flaws {
	slices.SortStableFunc(f, func(a, b *Flaw) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return f
}

// excerptMax bounds the characters of a line that are shown.
const excerptMax = 160

// excerpt shows a line with a caret below a column. A long line is shown around the column.
func excerpt(lines []string, line, column int) string {
	if line < 1 || line > len(lines) {
		return ""
	}
	shown := []rune(strings.Map(printable, strings.TrimRight(lines[line-1], "\r")))
	from := 0
	if len(shown) > excerptMax {
		from = min(max(0, column-1-excerptMax/2), len(shown)-excerptMax)
		shown = shown[from : from+excerptMax]
	}
	number := fmt.Sprintf("%5d | ", line)
	caret := strings.Repeat(" ", len(number)-2) + "| " + strings.Repeat(" ", min(max(column-1-from, 0), len(shown))) + "^"
	return number + string(shown) + "\n" + caret
}

// printable keeps a terminal from obeying a file.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r == utf8.RuneError {
		return ' '
	}
	return r
}

// nearest returns the word of allowed that is the fewest edits away from what was found, "" when none is near enough to be meant.
func nearest(found string, allowed []string) string {
	best, bestEdits := "", max(len(found)/2, 1)+1
	if len(found) > 64 {
		return ""
	}
	for _, word := range allowed {
		if n := edits(strings.ToLower(found), strings.ToLower(word)); n < bestEdits {
			best, bestEdits = word, n
		}
	}
	return best
}

// edits returns how many bytes must be inserted, removed, changed or swapped with their neighbour to make b of a.
func edits(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j]+change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
