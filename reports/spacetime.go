package reports

import (
	"bytes"
	"fmt"
	"html"
	"slices"
	"time"
)

// Happening is one event of a spacetime diagram: a step of a node, a fault, or a message from one node to another.
type Happening struct {
	At   time.Duration
	Node string
	To   string        // of a message
	Till time.Duration // likewise: when it arrives
	Kind string        // step, message, fault, recovered
	Text string
}

// Diagram is what is drawn: a line for each node, time to the right.
type Diagram struct {
	Title      string
	Nodes      []string // from the top
	From, Till time.Duration
	Happenings []Happening
}

// Sizes of a diagram, in pixels.
const (
	spaceWidth   = 1400
	spaceLeft    = 90
	spaceRight   = 20
	spaceTop     = 50
	spaceRow     = 90
	happeningMax = 6000 // more make a page that no browser likes; what comes later is left out, and the title says so
)

// inks are the colours of the kinds.
var inks = map[string]string{"step": "#4c6a92", "fault": "#c0392b", "recovered": "#2e7d32", "message": "#9aa5b1"}

// Spacetime draws a diagram as SVG: what happened where and when, and which message led from where to where. Each mark says on hovering
// what it is.
func Spacetime(d Diagram) []byte {
	var b bytes.Buffer
	height := spaceTop + spaceRow*len(d.Nodes) + 30
	title := d.Title
	if left := len(d.Happenings) - happeningMax; left > 0 {
		d.Happenings = d.Happenings[:happeningMax]
		d.Till = d.Happenings[happeningMax-1].At
		title += fmt.Sprintf(" (the last %d happenings are left out)", left)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", spaceWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="20" font-size="14">%s</text>`+"\n", spaceLeft, html.EscapeString(title))
	for i, node := range d.Nodes {
		y := d.y(i)
		fmt.Fprintf(&b, `<text x="8" y="%d">%s</text><line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#cfd6de"/>`+"\n",
			y+4, html.EscapeString(node), spaceLeft, y, spaceWidth-spaceRight, y)
	}
	for i := range 11 {
		at := d.From + (d.Till-d.From)*time.Duration(i)/10
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#6b7785" text-anchor="middle">%s</text>`+"\n", d.x(at), height-8, at.Round(100*time.Microsecond))
	}
	for _, h := range d.Happenings {
		d.draw(&b, h)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (d *Diagram) y(row int) int { return spaceTop + spaceRow*row + spaceRow/2 }

func (d *Diagram) x(at time.Duration) float64 {
	span := max(d.Till-d.From, 1)
	return spaceLeft + float64(at-d.From)/float64(span)*(spaceWidth-spaceLeft-spaceRight)
}

// draw draws one happening.
func (d *Diagram) draw(b *bytes.Buffer, h Happening) {
	tip := html.EscapeString(fmt.Sprintf("%v %s: %s", h.At, h.Node, h.Text))
	row, ink := slices.Index(d.Nodes, h.Node), inks[h.Kind]
	switch {
	case h.Kind == "message":
		to := slices.Index(d.Nodes, h.To)
		if row >= 0 && to >= 0 {
			fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="0.6"><title>%s</title></line>`+"\n",
				d.x(h.At), d.y(row), d.x(h.Till), d.y(to), ink, tip)
		}
	case row < 0: // the nemesis strikes across all lines
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-dasharray="4 3"><title>%s</title></line><text x="%.1f" y="%d" fill="%s">%s</text>`+"\n",
			d.x(h.At), spaceTop, d.x(h.At), spaceTop+spaceRow*len(d.Nodes), ink, tip, d.x(h.At)+3, spaceTop-6, ink, html.EscapeString(h.Text))
	default:
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%d" r="2.5" fill="%s"><title>%s</title></circle>`+"\n", d.x(h.At), d.y(row), ink, tip)
	}
}
