package reports

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Detect returns how to draw on these streams: width and height of the terminal, colours unless NO_COLOR is set or TERM is
// dumb, plain lines when stdout is no terminal.
func Detect(stdout *os.File) Options {
	opt := Options{Width: 120, Height: 24}
	if !term.IsTerminal(int(stdout.Fd())) || os.Getenv("TERM") == "dumb" {
		return opt
	}
	opt.Terminal = true
	opt.Color = os.Getenv("NO_COLOR") == ""
	if w, h, err := term.GetSize(int(stdout.Fd())); err == nil && w > 0 && h > 0 {
		opt.Width, opt.Height = min(w, 160), h
	}
	return opt
}

// screen is the lines at the bottom of a terminal that are drawn again and again.
type screen struct {
	w     io.Writer
	drawn int // lines that stand there now
}

// draw replaces what was drawn by text, whose lines must not be wider than the terminal.
func (s *screen) draw(text string) {
	erase := s.eraseSequence()
	_, _ = io.WriteString(s.w, erase+text)
	s.drawn = strings.Count(text, "\n")
}

// erase removes what was drawn.
func (s *screen) erase() {
	_, _ = io.WriteString(s.w, s.eraseSequence())
	s.drawn = 0
}

// eraseSequence moves to the first drawn line and clears all below.
func (s *screen) eraseSequence() string {
	if s.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", s.drawn)
}
