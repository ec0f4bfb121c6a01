package reports

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"holdfast/reports/result"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit returns r as a JUnit file: a suite a column, a case a cell. A cell that is not as its scenario expected, a violated cell and a
// control that lost nothing are failures, an inconclusive cell is skipped; loss within the contract passes, with its figures in system-out.
func JUnit(r *result.Result) ([]byte, error) {
	v := newView(r, nil)
	all := junitSuites{Name: "holdfast " + systemsText(r)}
	if v.hasPerf {
		all.Suites = append(all.Suites, v.junitSuite(result.NoFault, "throughput and latency"))
	}
	for _, f := range v.faults {
		all.Suites = append(all.Suites, v.junitSuite(f.name, f.title()))
	}
	data, err := xml.MarshalIndent(all, "", " ")
	if err != nil {
		return nil, fmt.Errorf("junit: %w", err)
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

func (v *view) junitSuite(column, title string) junitSuite {
	r := v.r
	s := junitSuite{Name: title, Timestamp: r.Started.UTC().Format(time.RFC3339), Properties: []junitProperty{
		{"system", systemsText(r)}, {"world", r.World}, {"seed", fmt.Sprint(r.Seed)}, {"configDigest", r.ConfigDigest}, {"kernel", r.Host.Kernel},
	}}
	seconds := 0.0
	for _, row := range v.rows {
		c := v.cell(row, column)
		if c == nil {
			continue
		}
		s.Tests++
		seconds += c.Seconds
		jc := junitCase{Name: rowOf(c).String(), Class: "holdfast." + c.Column(), Time: fmt.Sprintf("%.3f", c.Seconds), Out: strings.TrimSuffix(doneLine(c), "\n")}
		message := &junitMessage{Message: string(c.Verdict) + ": " + brief(c), Text: strings.Join(append(reasons(c), c.Repeat), "\n")}
		unmet := c.Unmet()
		switch {
		case len(unmet) > 0:
			jc.Failure = &junitMessage{Message: "expectation failed: " + expectationText(unmet[0]), Text: unmetText(unmet) + "verdict: " + string(c.Verdict) + "\n" + c.Repeat}
		case failedControl(c), c.Verdict == result.Violated:
			jc.Failure = message
		case c.Verdict == result.Inconclusive:
			jc.Skipped = message
		}
		if jc.Failure != nil {
			s.Failures++
		}
		if jc.Skipped != nil {
			s.Skipped++
		}
		s.Cases = append(s.Cases, jc)
	}
	s.Time = fmt.Sprintf("%.3f", seconds)
	return s
}

// unmetText lists failed expectations, a line each.
func unmetText(unmet []result.Expectation) string {
	var b strings.Builder
	for _, e := range unmet {
		b.WriteString(expectationText(e) + "\n")
	}
	return b.String()
}
