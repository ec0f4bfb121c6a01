package reports

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// inks are the colours that plots are drawn with. Each stands for a variable of the page's style sheet, which gives it a value for
// light and for dark pages; the number is only what the SVG says before it is inlined.
var (
	inkText  = color.RGBA{1, 1, 1, 255}
	inkGrid  = color.RGBA{1, 1, 2, 255}
	inkDown  = color.RGBA{1, 1, 3, 255} // the time in which a node is down
	inkHeal  = color.RGBA{1, 1, 4, 255} // the time in which it recovers
	inkKept  = color.RGBA{1, 1, 5, 255}
	inkLost  = color.RGBA{1, 1, 6, 255}
	inkMaybe = color.RGBA{1, 1, 7, 255}
	inkFail  = color.RGBA{1, 1, 8, 255}
	inkRole  = []color.RGBA{{1, 2, 1, 255}, {1, 2, 2, 255}, {1, 2, 3, 255}, {1, 2, 4, 255}} // by brokerRole
)

// inkNames are the variables that replace the inks.
var inkNames = strings.NewReplacer(
	"#010101", "var(--text)", "#010102", "var(--grid)", "#010103", "var(--down)", "#010104", "var(--heal)",
	"#010105", "var(--kept)", "#010106", "var(--lost)", "#010107", "var(--maybe)", "#010108", "var(--fail)",
	"#010201", "var(--role1)", "#010202", "var(--role2)", "#010203", "var(--role3)", "#010204", "var(--role4)",
)

// fontFamily is what the SVG says of fonts; the page's own font is taken instead.
var fontFamily = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;?`)

// newPlot returns an empty plot in the page's style. y names the vertical axis; it stands above the axis, where it is read without turning
// the head.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	label := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color = inkGrid
		axis.Tick.Color = inkGrid
		axis.Tick.Label.Color, axis.Label.TextStyle.Color = inkText, inkText
		axis.Tick.Label.Font, axis.Label.TextStyle.Font = label, label
		axis.Padding = 0
	}
	p.X.Label.Text = x
	p.Title.Text = y // drawn by inline
	p.Title.TextStyle.Color, p.Title.TextStyle.Font = inkText, label
	return p
}

// figureSVG is one plot of the page.
type figureSVG struct {
	SVG     template.HTML
	Caption string
	Fates   bool      // with the legend of the fates
	Keys    []lineKey // the legend of its lines
}

// inline draws p as an SVG element that takes its colours and fonts from the page; label is what it says to those who do not see it.
func inline(p *plot.Plot, width, height vg.Length, label string) (template.HTML, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height))
	area := draw.New(canvas)
	title, style := p.Title.Text, p.Title.TextStyle
	p.Title.Text = ""
	if title != "" {
		style.XAlign, style.YAlign = draw.XLeft, draw.YTop
		area.FillText(style, vg.Point{X: area.Min.X + 2, Y: area.Max.Y - 1}, title)
		area = draw.Crop(area, 0, 0, 0, -1.6*style.Font.Size)
	}
	p.Draw(draw.Crop(area, 2, -14, 1, -3)) // the last label of the horizontal axis needs room
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("draw %q: %w", label, err)
	}
	_, body, found := strings.Cut(b.String(), "<svg ")
	if found {
		_, body, found = strings.Cut(body, ">\n")
	}
	if !found {
		return "", fmt.Errorf("draw %q: no SVG", label)
	}
	body = fontFamily.ReplaceAllString(inkNames.Replace(body), "")
	body = strings.ReplaceAll(body, "\n\tstyle=", " style=")
	head := fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width.Points(), height.Points(), html.EscapeString(label))
	return template.HTML(head + body), nil // drawn above: the canvas escapes its texts
}
