package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// cellSection is what the page tells of one fault cell.
type cellSection struct {
	ID, Contract, Title string
	Verdict             string
	Tone                tone
	Open                bool // shown unfolded: violated and inconclusive cells
	Shows               string
	Reasons             []string
	Schedule            *htmlGrid
	Expect              *htmlGrid
	Figures             []figureSVG
	Facts               []result.Setting
	Trials              *htmlGrid
	Effects             *htmlGrid // of the faults of the worst trial, where there are several
	Phases, Stores      *htmlGrid // of the worst trial
	Deliveries          *htmlGrid
	Findings, More      []string // the first few, and the others
	Settings            []string // effective configuration of the nodes, key=value
	Repeat              string
}

// findingsShown is how many findings the page shows without being asked: they often repeat one another.
const findingsShown = 3

func newCellSection(c *result.Cell) (cellSection, error) {
	s := cellSection{
		ID: c.ID, Contract: rowOf(c).String(), Title: cellTitle(c), Verdict: string(c.Verdict), Tone: toneOf(c.Verdict),
		Open: c.Verdict == result.Violated || len(c.Unmet()) > 0, Shows: c.Shows, Reasons: c.Reasons, Facts: cellFacts(c), Repeat: c.Repeat,
		Trials:   pageGrid(trialTable(c), "Trials of "+c.ID),
		Schedule: pageGrid(scheduleTable(c.Schedule), "Schedule of "+c.ID), Expect: pageGrid(expectTable(c.Expect), "Expectations of "+c.ID),
	}
	worst, number := worstTrial(c)
	s.Effects = pageGrid(effectTable(worst, effectTitle(c, number)), "Faults of "+c.ID)
	s.Phases, s.Stores = pageGrid(phaseTable(worst), "Phases of "+c.ID), pageGrid(storeTable(worst), "Stores of "+c.ID)
	s.Deliveries = pageGrid(deliveryTable(worst, c.Expect), "Deliveries of "+c.ID)
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		s.Settings = append(s.Settings, key+"="+c.Settings[key])
	}
	for _, f := range c.Findings {
		s.Findings = append(s.Findings, findingText(f))
	}
	if len(s.Findings) > findingsShown {
		s.Findings, s.More = s.Findings[:findingsShown], s.Findings[findingsShown:]
	}
	operations, series, err := timelinePlots(c)
	if operations != "" {
		caption := fmt.Sprintf("A sample of %s operations", count(c.Timeline.Of))
		if c.Timeline.Trial > 0 {
			caption += fmt.Sprintf(" of trial %d", c.Timeline.Trial)
		}
		s.Figures = append(s.Figures, figureSVG{SVG: operations, Caption: caption + ": when each was to start, how long it took, what became of it.", Fates: true})
	}
	if series != "" {
		s.Figures = append(s.Figures, figureSVG{SVG: series, Caption: "Acknowledgements of the same trial over time."})
	}
	return s, err
}

func findingText(f result.Finding) string {
	text := f.Anomaly
	if f.Queue != "" {
		text += " in " + f.Queue
	}
	if f.Trial > 0 {
		text += fmt.Sprintf(", trial %d", f.Trial)
	}
	return text + ": " + f.Explain
}

// cellFacts lists the figures of a cell that its table has no room for.
func cellFacts(c *result.Cell) []result.Setting {
	var facts []result.Setting
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, result.Setting{Name: name, Value: value})
		}
	}
	add("acknowledged", counts(c.Acked))
	add("lost", counts(c.Lost))
	add("other sends", numbers([]named{{"unknown", c.Unknown}, {"failed", c.Failed}}))
	add("order", numbers([]named{{"duplicates", c.Duplicates}, {"reordered", c.Reordered}, {"phantoms", c.Phantoms}}))
	add("lost a trial", rpoText(c.RPO))
	if c.LossWindow != nil && c.LossWindow.MS > 0 {
		add("lost window", "at most "+span(c.LossWindow.MS))
	}
	add("recovery", recoveryText(c))
	add("linearizable", c.Linearizable)
	add("read early", earlyText(c.Trials))
	add("fault's effect", effect(c.FaultEffect))
	add("harness", harnessText(c.Harness))
	var causes []string
	for _, cause := range c.Causes {
		causes = append(causes, fmt.Sprintf("%s: %s", cause.Cause, count(cause.Count)))
	}
	add("where they died", strings.Join(causes, "; "))
	add("anomalies", counts(c.Anomalies))
	add("history", c.History)
	return facts
}

// earlyText says how many messages consumers got before they were acknowledged; "" without any.
func earlyText(trials []result.Trial) string {
	early, read, earliest := int64(0), int64(0), 0.0
	for _, t := range trials {
		if t.Reads != nil {
			early, read, earliest = early+t.Reads.Early, read+t.Reads.Count, min(earliest, t.Reads.EarliestMS)
		}
	}
	if early == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s messages more than 50 ms before their acknowledgement, up to %s", count(early), count(read), span(-earliest))
}

// rpoText is the loss a trial in words; "" when it says no more than the sum.
func rpoText(r *result.RPO) string {
	if r == nil {
		return ""
	}
	var parts []string
	if r.Cuts > 1 {
		parts = append(parts, fmt.Sprintf("median %s, at most %s messages a trial", messages(&r.Median), count(r.Max)))
	}
	if r.P90 != nil {
		parts = append(parts, "90% of trials at most "+messages(r.P90))
	}
	if prediction := predictionText(r); prediction != "" {
		parts = append(parts, prediction)
	}
	return strings.Join(parts, "; ")
}

// recoveryText is the RTO of a fault cell in words; "" when its trials were not kept.
func recoveryText(c *result.Cell) string {
	switch {
	case len(c.Trials) == 0 || c.IsPerformance():
		return ""
	case !c.AskedRTO():
		return "not asked: no trial ran alone on the machine"
	case c.RTO == nil:
		return "no trial that ran alone served again, or proved anything"
	}
	text := "at most " + span(c.RTO.MS) + " to the first SEND_OK"
	if c.RTO.DeliveryMS > 0 {
		text += ", " + span(c.RTO.DeliveryMS) + " to the first delivery"
	}
	return text + ", of trials that ran alone"
}

// counts writes counts by name, SEND_OK first: "SEND_OK 34,150, FLUSH_SLAVE_TIMEOUT 12".
func counts(m map[string]int64) string {
	if len(m) == 0 {
		return ""
	}
	first, others := leading(m)
	var parts []string
	for _, name := range append([]string{first}, others...) {
		parts = append(parts, name+" "+count(m[name]))
	}
	return strings.Join(parts, ", ")
}

// effect writes what a fault did, without what it did not.
func effect(m map[string]int64) string {
	did := maps.Clone(m)
	maps.DeleteFunc(did, func(_ string, n int64) bool { return n == 0 })
	return counts(did)
}

// named is a figure that may not have been measured.
type named struct {
	name  string
	value *int64
}

// numbers writes those that were measured: "190 unknown, 0 failed".
func numbers(all []named) string {
	var parts []string
	for _, n := range all {
		if n.value != nil {
			parts = append(parts, count(*n.value)+" "+n.name)
		}
	}
	return strings.Join(parts, ", ")
}
