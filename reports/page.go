package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"holdfast/reports/result"
)

var (
	//go:embed page.gohtml
	pageSource string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("page").Parse(pageSource))
)

// page is what the template draws.
type page struct {
	Title        string
	Style        template.CSS
	Header       []string
	Incomplete   string
	Answer       answer
	Overview     *htmlGrid
	Claims       []*htmlGrid
	Performance  *htmlGrid
	Memory       *htmlGrid
	Agreement    *htmlGrid
	SpeedFigures []figureSVG
	Losses       []lossSection
	RTO          *htmlGrid
	Availability *htmlGrid
	Harness      string
	Stalled      string
	Cells        []cellSection
	Rows         []rowConf
	Run          []result.Setting
}

// lossSection is what the page tells of one column.
type lossSection struct {
	Fault, RPO *htmlGrid
	Figures    []figureSVG
}

// rowConf is the configuration of one row.
type rowConf struct {
	Role, Flush   string
	Master, Slave []string
	Repeat        string
}

// htmlGrid is a grid as HTML wants it: the two columns of the stub are one.
type htmlGrid struct {
	Label, Caption, Note string
	Heads                []htmlHead
	Rows                 []htmlRow
}

type htmlHead struct {
	Lines []string
	Right bool
}

type htmlRow struct {
	Name, Sub string
	Cells     []htmlCell
}

type htmlCell struct {
	Lines []string
	Class string
	Link  string // id of the section that tells more
}

// Page returns index.html for r: one file that needs no network and no script. Plots, tables and texts are computed from r alone.
func Page(r *result.Result) ([]byte, error) {
	v := newView(r, nil)
	p := page{
		Title:      fmt.Sprintf("What %s keeps when machines fail", systemsText(r)),
		Style:      template.CSS(pageStyle), // a constant of this package
		Header:     header(r),
		Incomplete: incompleteText(r),
		Answer:     v.answer(),
		Run:        runFacts(r),
	}
	if len(v.rows) > 0 {
		g := v.overview(nil)
		g.Title = "The matrix at a glance"
		p.Overview = pageGrid(g, g.Title)
		v.link(p.Overview)
	}
	for _, g := range v.claimTables() {
		p.Claims = append(p.Claims, pageGrid(g, g.Title))
	}
	if g := v.performance(); g != nil {
		p.Performance = pageGrid(g, g.Title)
	}
	p.Memory = pageGrid(v.memory(), "Memory")
	p.Agreement = pageGrid(v.agreement(), "Agreement")
	p.RTO, p.Availability = pageGrid(v.rtoTable(), "RTO"), pageGrid(v.availabilityTable(), "Availability")
	p.Harness, p.Stalled = v.harnessLine(), v.stallWarning()
	for _, row := range v.rows {
		if conf := row.BrokerConf(); len(conf) > 0 {
			name, sub := stubText(v.stubEntries(row))
			p.Rows = append(p.Rows, rowConf{name, sub, conf, row.SlaveConf(), v.repeat(row)})
		}
	}
	if err := v.figures(&p); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return b.Bytes(), nil
}

// figures draws all plots of the page.
func (v *view) figures(p *page) error {
	throughput, err := v.throughputPlot()
	if err != nil {
		return err
	}
	if throughput != "" {
		p.SpeedFigures = append(p.SpeedFigures, figureSVG{SVG: throughput, Caption: "Throughput at saturation. Filled bars: ASYNC_FLUSH; outlines: SYNC_FLUSH."})
	}
	latency, keys, err := v.latencyPlot()
	if err != nil {
		return err
	}
	if latency != "" {
		p.SpeedFigures = append(p.SpeedFigures, figureSVG{SVG: latency, Caption: "Latency from the intended start, by percentile.", Keys: keys})
	}
	for _, t := range v.losses(true) {
		section := lossSection{Fault: pageGrid(t.fault, t.fault.Title)}
		if t.rpo != nil {
			section.RPO = pageGrid(t.rpo, t.rpo.Title)
		}
		svg, keys, err := v.rpoPlot(t.column)
		if err != nil {
			return err
		}
		if svg != "" {
			section.Figures = append(section.Figures, figureSVG{SVG: svg, Keys: keys,
				Caption: "Messages lost, a dot a cut. Lines: predicted for the same cuts, from the bytes written since that fsync began."})
		}
		p.Losses = append(p.Losses, section)
	}
	for _, c := range v.ordered() {
		if c.IsPerformance() {
			continue
		}
		section, err := newCellSection(c)
		if err != nil {
			return err
		}
		p.Cells = append(p.Cells, section)
	}
	return nil
}

// pageGrid turns a grid into what the template draws; nil stays nil. The columns of the stub become one; label is what the table is
// called where its title does not tell it from others.
func pageGrid(g *grid, label string) *htmlGrid {
	if g == nil {
		return nil
	}
	h := &htmlGrid{Label: label, Caption: g.Title, Note: g.Note}
	if g.Stub >= 2 {
		head := "contract"
		if name := g.Columns[g.Stub-2].Head; name != contractHead {
			head = name
		}
		h.Heads = append(h.Heads, htmlHead{Lines: []string{head}})
	}
	for _, c := range g.Columns[g.Stub:] {
		h.Heads = append(h.Heads, htmlHead{strings.Split(c.Head, "\n"), c.Right})
	}
	for _, r := range g.Rows {
		row := htmlRow{}
		if g.Stub >= 2 {
			row.Name, row.Sub = stubText(r[:g.Stub])
		}
		for i, e := range r[g.Stub:] {
			class := string(e.Tone)
			if g.Columns[g.Stub+i].Right {
				class = strings.TrimSpace("num " + class)
			}
			row.Cells = append(row.Cells, htmlCell{Lines: strings.Split(e.Text, "\n"), Class: class})
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

// stubText is the stub of a row in two lines: the system, where it is named, with the role, and the flush type.
func stubText(stub []entry) (name, sub string) {
	name, sub = stub[0].Text, stub[len(stub)-1].Text
	if len(stub) > 2 {
		name += ", " + stub[1].Text
	}
	return name, sub
}

// link lets the faults of the overview lead to their sections.
func (v *view) link(h *htmlGrid) {
	first := len(h.Heads) - 1 - len(v.faults)
	for i, row := range v.rows {
		for j, f := range v.faults {
			if c := v.cell(row, f.name); c != nil {
				h.Rows[i].Cells[first+j].Link = c.ID
			}
		}
	}
}

// runFacts lists what a reader needs to judge or repeat the run.
func runFacts(r *result.Result) []result.Setting {
	facts := []result.Setting{
		{Name: "tool", Value: "holdfast " + toolVersion(r.Tool)}, {Name: "system", Value: systemsText(r)},
		{Name: "started", Value: r.Started.UTC().Format(time.RFC3339)},
	}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, result.Setting{Name: name, Value: value})
		}
	}
	if !r.Finished.IsZero() {
		add("took", lasting(r.Finished.Sub(r.Started)))
	}
	add("host", r.Host.Name)
	add("seed", fmt.Sprint(r.Seed))
	add("world", r.World)
	add("verdict", string(r.Verdict))
	add("configuration", r.ConfigDigest)
	add("repeat all", r.Command)
	return append(facts, r.Settings...)
}
