package reports

import (
	"cmp"
	"html/template"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"holdfast/reports/result"
)

// rpoPlot draws what the cuts of a column lost against the time since the last fsync, a dot a cut, and for each contract a line through what
// was predicted for the same cuts; keys name the contracts. It returns "" for faults that are no power cuts, and when no cut lost anything.
func (v *view) rpoPlot(f faultColumn) (svg template.HTML, keys []lineKey, err error) {
	if f.fault != "power" {
		return "", nil, nil
	}
	p := newPlot("ms from the last fsync of the commit log to the cut", "messages lost")
	p.Add(gridLines())
	right, top := 0.0, 0.0
	for _, row := range v.rows {
		c := v.cell(row, f.name)
		if c == nil || c.RPO == nil || c.RPO.LossyCuts == 0 {
			continue
		}
		lost, predicted := cutPoints(c)
		if len(lost) == 0 {
			continue
		}
		for _, pt := range append(slices.Clone(lost), predicted...) {
			right, top = max(right, pt.X), max(top, pt.Y)
		}
		role, hollow := v.role(row), row.FlushDiskType == "SYNC_FLUSH"
		if len(predicted) > 1 {
			line, err := plotter.NewLine(predicted)
			if err != nil {
				return "", nil, err
			}
			line.Color, line.Width, line.Dashes = inkRole[role], 0.9, dashes[row.FlushDiskType]
			p.Add(line)
		}
		p.Add(cutDots{dots{lost, inkRole[role], square(2.4)}, hollow})
		keys = append(keys, lineKey{row.String(), role + 1, hollow})
	}
	if len(keys) == 0 {
		return "", nil, nil
	}
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0, max(right*1.04, 1), countTicks{}
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(top*1.08, 1), countTicks{}
	svg, err = inline(p, 640, 280, "Messages lost in each cut of "+f.title()+", by the time since the last fsync; the table above has the figures")
	return svg, keys, err
}

// cutPoints are the cuts of a cell that had their effect and whose last fsync is known, by the time since it: what each lost, and what was
// predicted for those that have a prediction.
func cutPoints(c *result.Cell) (lost, predicted plotter.XYs) {
	for _, t := range c.Trials {
		if t.Verdict == result.Inconclusive || t.SinceSyncMS <= 0 {
			continue
		}
		lost = append(lost, plotter.XY{X: t.SinceSyncMS, Y: float64(result.Sum(t.Lost))})
		if t.Predicted != nil {
			predicted = append(predicted, plotter.XY{X: t.SinceSyncMS, Y: *t.Predicted})
		}
	}
	byX := func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) }
	slices.SortStableFunc(predicted, byX)
	return lost, predicted
}

// cutDots are the cuts of one contract; hollow ones tell flush types apart without colour.
type cutDots struct {
	dots
	hollow bool
}

// Plot implements plot.Plotter.
func (d cutDots) Plot(c draw.Canvas, p *plot.Plot) {
	if !d.hollow {
		d.dots.Plot(c, p)
		return
	}
	x, y := p.Transforms(&c)
	var path vg.Path
	for _, pt := range d.points {
		d.mark(&path, x(pt.X), y(pt.Y))
	}
	c.SetColor(d.ink)
	c.SetLineWidth(1.2)
	c.Stroke(path)
}
