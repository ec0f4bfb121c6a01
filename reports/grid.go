package reports

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// tone is what a cell's text means, beyond its words; renderers give it a colour.
type tone string

const (
	plain    tone = ""
	good     tone = "kept"         // nothing lost
	warn     tone = "lost"         // lost within contract
	bad      tone = "violated"     // a promise broken, a claim refuted
	doubtful tone = "inconclusive" // proves nothing
	muted    tone = "muted"        // not run yet, not measured
	heading  tone = "heading"
	wrapped  tone = "wrap" // prose, which the page may break
)

// entry is the text of one cell of a grid; it may have several lines.
type entry struct {
	Text string
	Tone tone
}

// column is one column of a grid.
type column struct {
	Head  string // one or two lines
	Right bool   // figures are aligned at their last digit
}

// grid is a table as data, drawn as text, markdown or HTML.
type grid struct {
	Title   string
	Note    string // what a reader must know to read it
	Stub    int    // leading columns that name the row; repeated when the table is broken in width
	Columns []column
	Rows    [][]entry
}

// row appends a row; it must have an entry for each column.
func (g *grid) row(entries ...entry) { g.Rows = append(g.Rows, entries) }

// gap is between two columns of text, rule what it is below the head.
const gap, rule = "  ", "──"

// text draws the grid in at most width columns, as several blocks when it is wider. paint colours a tone.
func (g *grid) text(width int, paint palette) string {
	var b strings.Builder
	if g.Title != "" {
		b.WriteString(paint.tone(heading, wrap(g.Title, width, "")))
	}
	b.WriteString(strings.Join(g.blocks(width, paint), "\n"))
	if g.Note != "" {
		b.WriteString(paint.dim(wrap(g.Note, width, "")))
	}
	return b.String()
}

// blocks draws the columns as blocks that fit width; every block has all rows and begins with the stub.
func (g *grid) blocks(width int, paint palette) []string {
	var drawn []string
	for _, columns := range g.split(width) {
		drawn = append(drawn, g.block(columns, paint))
	}
	return drawn
}

// split distributes the columns over as few blocks as fit width. Where that leaves a single column in the last block, it makes all
// blocks as narrow as their number allows.
func (g *grid) split(width int) [][]int {
	blocks := g.fill(width)
	if len(blocks) == 1 || len(blocks[len(blocks)-1]) > g.Stub+1 {
		return blocks
	}
	for width--; ; width-- {
		even := g.fill(width)
		if len(even) > len(blocks) || g.blockWidth(even) > width {
			return blocks
		}
		blocks = even
	}
}

// fill puts as many columns as fit width into a block before it begins the next.
func (g *grid) fill(width int) [][]int {
	var stub []int
	used := 0
	for i := range g.Stub {
		stub = append(stub, i)
		used += g.width(i) + len(gap)
	}
	blocks := [][]int{}
	block, at := append([]int(nil), stub...), used
	for i := g.Stub; i < len(g.Columns); i++ {
		w := g.width(i)
		if at+w > width && len(block) > len(stub) {
			blocks = append(blocks, block)
			block, at = append([]int(nil), stub...), used
		}
		block = append(block, i)
		at += w + len(gap)
	}
	return append(blocks, block)
}

// blockWidth is that of the widest block.
func (g *grid) blockWidth(blocks [][]int) int {
	widest := 0
	for _, block := range blocks {
		at := -len(gap)
		for _, i := range block {
			at += g.width(i) + len(gap)
		}
		widest = max(widest, at)
	}
	return widest
}

// width is that of the widest line of column i.
func (g *grid) width(i int) int {
	w := text.LongestLineLen(g.Columns[i].Head)
	for _, r := range g.Rows {
		w = max(w, text.LongestLineLen(r[i].Text))
	}
	return w
}

// block draws some columns side by side.
func (g *grid) block(columns []int, paint palette) string {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.Options{SeparateHeader: true}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", gap
	style.Format.Header, style.Format.HeaderVAlign = text.FormatDefault, text.VAlignBottom
	t.SetStyle(style)
	var heads table.Row
	var configs []table.ColumnConfig
	for n, i := range columns {
		heads = append(heads, g.Columns[i].Head)
		align := text.AlignLeft
		if g.Columns[i].Right {
			align = text.AlignRight
		}
		configs = append(configs, table.ColumnConfig{Number: n + 1, Align: align, AlignHeader: align})
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(heads)
	for _, r := range g.Rows {
		var entries table.Row
		for _, i := range columns {
			entries = append(entries, paint.tone(r[i].Tone, r[i].Text))
		}
		t.AppendRow(entries)
	}
	var b strings.Builder
	for line := range strings.Lines(t.Render() + "\n") {
		line = strings.TrimSuffix(strings.TrimRight(line, " \n"), rule) // the gap after the last column
		b.WriteString(line + "\n")
	}
	return b.String()
}

// markdown draws the grid as a table of GitHub's markdown.
func (g *grid) markdown() string {
	var b strings.Builder
	if g.Title != "" {
		b.WriteString("**" + g.Title + "**\n\n")
	}
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	var heads, rules []string
	for _, c := range g.Columns {
		heads = append(heads, markdownText(c.Head, " "))
		align := "---"
		if c.Right {
			align = "---:"
		}
		rules = append(rules, align)
	}
	line(heads)
	line(rules)
	for _, r := range g.Rows {
		var cells []string
		for _, e := range r {
			s := markdownText(e.Text, "<br>")
			if (e.Tone == bad || e.Tone == warn) && s != "" {
				s = "**" + s + "**"
			}
			cells = append(cells, s)
		}
		line(cells)
	}
	if g.Note != "" {
		b.WriteString("\n" + g.Note + "\n")
	}
	return b.String()
}

// markdownText makes s safe inside a table cell, with lines joined by sep.
func markdownText(s, sep string) string {
	s = strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(s)
	return strings.ReplaceAll(s, "\n", sep)
}

// wrap breaks prose into lines of at most width columns, each ending in a newline; all but the first are indented.
func wrap(prose string, width int, indent string) string {
	var b strings.Builder
	at := 0
	for _, word := range strings.Fields(prose) {
		n := len([]rune(word))
		switch {
		case at == 0:
		case at+1+n > width:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String() + "\n"
}

// palette colours text for a terminal, or leaves it as it is.
type palette struct{ on bool }

var colours = map[tone]string{good: "32", warn: "33", bad: "1;31", doubtful: "35", muted: "2", heading: "1"}

func (p palette) paint(code, s string) string {
	if !p.on || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p palette) strong(s string) string { return p.tone(heading, s) }

// dim paints text that matters less.
func (p palette) dim(s string) string { return p.tone(muted, s) }

// tone paints each line by itself, so that a line feed is never inside an escape sequence.
func (p palette) tone(t tone, s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = p.paint(colours[t], lines[i])
	}
	return strings.Join(lines, "\n")
}
