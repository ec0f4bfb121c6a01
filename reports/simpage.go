package reports

import (
	"bytes"
	"html/template"

	"holdfast/reports/result"
)

var simPage = template.Must(template.New("sim").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title>
<style>body{font:15px/1.5 sans-serif;margin:2em auto;max-width:90em;padding:0 1em;color:#1d2733}pre{font:13px/1.4 monospace;overflow-x:auto;background:#f5f7f9;padding:1em}svg{width:100%;height:auto;border:1px solid #cfd6de}</style>
</head><body><h1>{{.Title}}</h1><pre>{{.Text}}</pre>
{{if .Diagram}}<h2>The first failure in space and time</h2><p>A line for each host, time to the right; a mark says on hovering what it is.</p>{{.Diagram}}{{end}}
{{if .File}}<h2>As a scenario file</h2><pre>{{.File}}</pre>{{end}}
</body></html>
`))

// SimPage returns the page of a search: its tables, the diagram of its first failure (SVG) and the smallest scenario that fails in the same
// way, where there are such. It needs no network.
func SimPage(s *result.Sim, diagram, file []byte) ([]byte, error) {
	var b bytes.Buffer
	err := simPage.Execute(&b, map[string]any{
		"Title": s.Scenario + " in the simulator", "Text": Sim(s), "Diagram": template.HTML(diagram), "File": string(file),
	})
	return b.Bytes(), err
}
