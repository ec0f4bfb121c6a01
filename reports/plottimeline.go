package reports

import (
	"fmt"
	"html/template"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"holdfast/reports/result"
)

// pageOps bounds the operations that the page draws of a timeline: results.json may hold more.
const pageOps = 700

// fates is how each fate is drawn, in the order of drawing. The legend is the page's (page.gohtml).
var fates = []struct {
	fate result.Fate
	ink  color.RGBA
	mark marker
}{
	{result.FateKept, inkKept, square(1.1)},
	{result.FateFailed, inkFail, cross(2)},
	{result.FateUnknown, inkMaybe, diamond(2.4)},
	{result.FateLost, inkLost, square(2)},
}

// timelinePlots draws the operations of one trial (when each was to start, how long it took, what became of it) and below it the
// acknowledgements over the same time, the fault shaded in both. Time zero is the fault. Both are "" when the cell has no timeline.
func timelinePlots(c *result.Cell) (operations, series template.HTML, err error) {
	t := c.Timeline
	if t == nil || len(t.Ops) == 0 {
		return "", "", nil
	}
	upper, lower := operationsPlot(t), (*plot.Plot)(nil)
	if s := c.Series; s != nil && len(s.Acked) > 1 && s.BucketMS > 0 {
		if lower, err = seriesPlot(s, t); err != nil {
			return "", "", err
		}
		level(upper, lower)
		series, err = inline(lower, 640, 130, fmt.Sprintf("Acknowledgements over time around %s under %s", cellTitle(c), c.Contract))
		if err != nil {
			return "", "", err
		}
	}
	operations, err = inline(upper, 640, 280, fmt.Sprintf("Operations around %s under %s", cellTitle(c), c.Contract))
	return operations, series, err
}

func operationsPlot(t *result.Timeline) *plot.Plot {
	p := timePlot(t, "response time, ms")
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
	longest, shortest := 1.0, 1.0
	for _, op := range t.Ops {
		longest = max(longest, op.MS)
		if op.MS > 0 {
			shortest = min(shortest, op.MS)
		}
	}
	byFate := map[result.Fate]plotter.XYs{}
	for _, op := range result.Sample(t.Ops, pageOps) {
		took := max(op.MS, shortest)
		if op.Fate == result.FateUnknown && op.MS == 0 {
			took = longest // never answered
		}
		byFate[op.Fate] = append(byFate[op.Fate], plotter.XY{X: (op.T - faultStart(t)) / 1000, Y: took})
	}
	for _, f := range fates {
		if points := byFate[f.fate]; len(points) > 0 {
			p.Add(dots{points, f.ink, f.mark})
		}
	}
	p.Y.Min, p.Y.Max = shortest/1.5, longest*1.5
	return p
}

func seriesPlot(s *result.Series, t *result.Timeline) (*plot.Plot, error) {
	p := timePlot(t, fmt.Sprintf("acked / %d ms", s.BucketMS))
	zero := faultStart(t)
	first, last := t.Ops[0].T, endOf(t)
	var points plotter.XYs
	for i, n := range s.Acked {
		from := s.StartMS + float64(i*s.BucketMS)
		if to := from + float64(s.BucketMS); to > first && from < last {
			points = append(points, plotter.XY{X: (max(from, first) - zero) / 1000, Y: float64(n)}, plotter.XY{X: (min(to, last) - zero) / 1000, Y: float64(n)})
		}
	}
	if len(points) > 0 {
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = inkKept, 1.3
		p.Add(line)
	}
	p.X.Min, p.X.Max = (first-zero)/1000, (last-zero)/1000
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(p.Y.Max, 1)*1.08, countTicks{}
	return p, nil
}

// timePlot is an empty plot over the span of t with the fault shaded.
func timePlot(t *result.Timeline, y string) *plot.Plot {
	p := newPlot("seconds from the fault", y)
	zero := faultStart(t)
	p.Add(shade{t.Marks, zero}, gridLines())
	p.X.Min, p.X.Max = (t.Ops[0].T-zero)/1000, (endOf(t)-zero)/1000
	p.X.Tick.Marker = secondTicks{}
	p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
	return p
}

func endOf(t *result.Timeline) float64 { return max(t.EndMS, t.Ops[len(t.Ops)-1].T, t.Ops[0].T+1) }

// level gives the data areas of plots that stand below each other the same left edge.
func level(plots ...*plot.Plot) {
	widest := vg.Length(0)
	widths := make([]vg.Length, len(plots))
	for i, p := range plots {
		for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
			widths[i] = max(widths[i], p.Y.Tick.Label.Width(tick.Label))
		}
		widest = max(widest, widths[i])
	}
	for i, p := range plots {
		p.Y.Padding += widest - widths[i]
	}
}

// secondTicks marks whole steps of time, six to twelve of them.
type secondTicks struct{}

// Ticks implements plot.Ticker.
func (secondTicks) Ticks(lo, hi float64) []plot.Tick {
	step := 0.1
	for _, wider := range []float64{0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600} {
		if (hi-lo)/step > 12 {
			step = wider
		}
	}
	var ticks []plot.Tick
	for n := math.Ceil(lo / step); n*step <= hi; n++ {
		ticks = append(ticks, plot.Tick{Value: n * step, Label: strconv.FormatFloat(n*step, 'g', 4, 64)})
	}
	return ticks
}

// faultStart is when the first fault began, in ms since the start of the run; 0 without any.
func faultStart(t *result.Timeline) float64 {
	for _, m := range t.Marks {
		if m.Phase == "start" {
			return m.T
		}
	}
	return 0
}

// shade darkens the time from a fault to the restart of what it stopped, and less the time from there to the verified heal.
type shade struct {
	marks []result.Mark
	zero  float64 // ms
}

// Plot implements plot.Plotter.
func (s shade) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	from := map[string]float64{}
	for _, m := range s.marks {
		at := (m.T - s.zero) / 1000
		ink := inkDown
		switch m.Phase {
		case "start":
			from[m.Name] = at
			continue
		case "restart":
		case "heal":
			ink = inkHeal
		default:
			continue
		}
		left, right := clamp(x(from[m.Name]), c), clamp(x(at), c)
		from[m.Name] = at
		if right > left {
			c.FillPolygon(ink, []vg.Point{{X: left, Y: c.Min.Y}, {X: right, Y: c.Min.Y}, {X: right, Y: c.Max.Y}, {X: left, Y: c.Max.Y}})
		}
	}
}

func clamp(x vg.Length, c draw.Canvas) vg.Length { return min(max(x, c.Min.X), c.Max.X) }

// marker adds the outline of one point to a path, so that all points of a fate are one element of the page.
type marker func(path *vg.Path, x, y vg.Length)

func square(r vg.Length) marker {
	return func(path *vg.Path, x, y vg.Length) {
		polygon(path, vg.Point{X: x - r, Y: y - r}, vg.Point{X: x + r, Y: y - r}, vg.Point{X: x + r, Y: y + r}, vg.Point{X: x - r, Y: y + r})
	}
}

func diamond(r vg.Length) marker {
	return func(path *vg.Path, x, y vg.Length) {
		polygon(path, vg.Point{X: x - r, Y: y}, vg.Point{X: x, Y: y - r}, vg.Point{X: x + r, Y: y}, vg.Point{X: x, Y: y + r})
	}
}

// cross is two thin bars, corner to corner.
func cross(r vg.Length) marker {
	const half = 0.45
	return func(path *vg.Path, x, y vg.Length) {
		for _, sign := range []vg.Length{1, -1} {
			polygon(path, vg.Point{X: x - r, Y: y - sign*r - half}, vg.Point{X: x + r, Y: y + sign*r - half},
				vg.Point{X: x + r, Y: y + sign*r + half}, vg.Point{X: x - r, Y: y - sign*r + half})
		}
	}
}

func polygon(path *vg.Path, points ...vg.Point) {
	path.Move(points[0])
	for _, pt := range points[1:] {
		path.Line(pt)
	}
	path.Close()
}

// dots are the operations of one fate.
type dots struct {
	points plotter.XYs
	ink    color.RGBA
	mark   marker
}

// Plot implements plot.Plotter.
func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var path vg.Path
	for _, pt := range d.points {
		d.mark(&path, x(pt.X), y(pt.Y))
	}
	c.SetColor(d.ink)
	c.Fill(path)
}

// DataRange implements plot.DataRanger.
func (d dots) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, ymin, xmax, ymax = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, pt := range d.points {
		xmin, xmax, ymin, ymax = min(xmin, pt.X), max(xmax, pt.X), min(ymin, pt.Y), max(ymax, pt.Y)
	}
	return xmin, xmax, ymin, ymax
}
