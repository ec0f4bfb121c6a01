package reports

import (
	"html/template"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"holdfast/reports/result"
)

// dashes tell flush types apart where colour tells roles apart.
var dashes = map[string][]vg.Length{"SYNC_FLUSH": {5, 3}}

// lineKey is one line of a plot as the page's legend shows it.
type lineKey struct {
	Name   string
	Role   int // number of the colour, from 1
	Dashed bool
}

// role gives each role of the matrix an ink of its own, in the order of the rows.
func (v *view) role(row matrixRow) int {
	var roles []string
	for _, r := range v.rows {
		if label := roleText(r); !slices.Contains(roles, label) {
			roles = append(roles, label)
		}
	}
	return slices.Index(roles, roleText(row)) % len(inkRole)
}

// roleText is what a row's colour stands for: the role, or the name of a contract without one.
func roleText(row matrixRow) string {
	if row.BrokerRole == "" {
		return row.Name
	}
	return row.Role()
}

// latencyPlot draws the latency distribution of each row: percentiles by their nines, milliseconds on a log axis; keys name the lines.
// It returns "" when no row has one.
func (v *view) latencyPlot() (svg template.HTML, keys []lineKey, err error) {
	p := newPlot("percentile", "ms")
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(nineTicks()), logTicks{}
	p.Y.Scale = plot.LogScale{}
	p.Add(gridLines())
	lo, hi := math.Inf(1), 0.0
	for _, row := range v.rows {
		c := v.cell(row, result.NoFault)
		if c == nil || c.Latency == nil {
			continue
		}
		var points plotter.XYs
		for _, pt := range c.Latency.Curve {
			if pt.Percentile < 100 && pt.Value > 0 {
				points = append(points, plotter.XY{X: nines(pt.Percentile), Y: pt.Value})
				lo, hi = min(lo, pt.Value), max(hi, pt.Value)
			}
		}
		if len(points) < 2 {
			continue
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return "", nil, err
		}
		role := v.role(row)
		line.Color, line.Width, line.Dashes = inkRole[role], 1.6, dashes[row.FlushDiskType]
		p.Add(line)
		keys = append(keys, lineKey{row.String(), role + 1, len(line.Dashes) > 0})
	}
	if len(keys) == 0 {
		return "", nil, nil
	}
	p.Y.Min, p.Y.Max = lo/1.1, hi*1.1
	svg, err = inline(p, 640, 340, "Latency by percentile for each contract; the table above has the figures")
	return svg, keys, err
}

// nines maps a percentile to a linear axis on which 90, 99, 99.9 are equally far apart.
func nines(percentile float64) float64 { return -math.Log10(1 - percentile/100) }

func nineTicks() []plot.Tick {
	var ticks []plot.Tick
	for _, p := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999} {
		ticks = append(ticks, plot.Tick{Value: nines(p), Label: strconv.FormatFloat(p, 'g', -1, 64)})
	}
	return ticks
}

// logTicks marks 1, 2 and 5 of every decade.
type logTicks struct{}

// Ticks implements plot.Ticker.
func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := math.Pow(10, math.Floor(math.Log10(lo))); decade <= hi; decade *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if value := decade * step; value >= lo*0.999 && value <= hi*1.001 {
				ticks = append(ticks, plot.Tick{Value: value, Label: figureLabel(value)})
			}
		}
	}
	return ticks
}

// figureLabel writes 0.05, 20, 1,000.
func figureLabel(value float64) string {
	if value >= 1 {
		return count(int64(math.Round(value)))
	}
	return strconv.FormatFloat(value, 'g', 3, 64)
}

// countTicks are the usual ones with thousands separators.
type countTicks struct{}

// Ticks implements plot.Ticker.
func (countTicks) Ticks(lo, hi float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(lo, hi)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = tickLabel(ticks[i].Value)
		}
	}
	return ticks
}

// tickLabel writes 0.5, 2.5, 1,000: an axis of small figures has steps between the whole numbers.
func tickLabel(value float64) string {
	if whole := math.Round(value); math.Abs(value-whole) < 1e-9 {
		return count(int64(whole))
	}
	return strconv.FormatFloat(value, 'g', 3, 64)
}

func gridLines() *plotter.Grid {
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = inkGrid, inkGrid
	g.Horizontal.Width, g.Vertical.Width = 0.5, 0.5
	return g
}

// throughputPlot draws the saturation of each row as a bar with the range of its passes. It returns "" when no row has one.
func (v *view) throughputPlot() (template.HTML, error) {
	p := newPlot("msg/s at saturation: median, and the range of the passes", "")
	var labels []plot.Tick
	top := 0.0
	rows := slices.DeleteFunc(slices.Clone(v.rows), func(row matrixRow) bool {
		c := v.cell(row, result.NoFault)
		return c == nil || c.Throughput == nil
	})
	if len(rows) == 0 {
		return "", nil
	}
	g := gridLines()
	g.Horizontal.Width = 0
	p.Add(g)
	for i, row := range rows {
		t := v.cell(row, result.NoFault).Throughput
		at := float64(len(rows) - 1 - i)
		p.Add(bar{at: at, value: t.Acked, lo: t.Min, hi: t.Max, ink: inkRole[v.role(row)], hollow: row.FlushDiskType == "SYNC_FLUSH"})
		labels = append(labels, plot.Tick{Value: at, Label: row.String()})
		top = max(top, t.Acked, t.Max)
	}
	p.X.Min, p.X.Max = 0, max(top*1.04, 1)
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	p.X.Tick.Marker, p.Y.Tick.Marker = countTicks{}, plot.ConstantTicks(labels)
	p.Y.Tick.Length = 0
	return inline(p, 640, vg.Length(50+30*len(rows)), "Throughput at saturation of each contract; the table above has the figures")
}

// bar is a horizontal bar with a whisker.
type bar struct {
	at, value, lo, hi float64
	ink               color.RGBA
	hollow            bool // an outline, to tell flush types apart without colour
}

// Plot implements plot.Plotter.
func (b bar) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	corners := []vg.Point{{X: x(0), Y: y(b.at - 0.3)}, {X: x(b.value), Y: y(b.at - 0.3)}, {X: x(b.value), Y: y(b.at + 0.3)}, {X: x(0), Y: y(b.at + 0.3)}}
	if b.hollow {
		c.StrokeLines(draw.LineStyle{Color: b.ink, Width: 1.4}, append(corners, corners[0]))
	} else {
		c.FillPolygon(b.ink, corners)
	}
	if b.hi > b.lo {
		whisker := draw.LineStyle{Color: inkText, Width: 1.2}
		c.StrokeLine2(whisker, x(b.lo), y(b.at), x(b.hi), y(b.at))
		for _, end := range []float64{b.lo, b.hi} {
			c.StrokeLine2(whisker, x(end), y(b.at-0.12), x(end), y(b.at+0.12))
		}
	}
}
