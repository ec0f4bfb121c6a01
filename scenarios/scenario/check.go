package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast/nemesis"
	"holdfast/reports/result"
)

// fieldError is shorthand for what a check found.
func fieldError(field, found, allowed string) *nemesis.FieldError {
	return &nemesis.FieldError{Field: field, Found: found, Allowed: allowed}
}

// checkFault fills in a fault's defaults and checks its keys against its kind. A key with a zero value is refused, too, where the kind
// does not have it.
func checkFault(object any, given *place) []*nemesis.FieldError {
	f := object.(*nemesis.Fault)
	if wrong := strangeFigures(f.Kind, given); wrong != nil {
		return wrong
	}
	*f = f.WithDefaults()
	return asFields("", nemesis.Validate(*f))
}

func strangeFigures(k nemesis.Kind, given *place) []*nemesis.FieldError {
	has := k.Params()
	allowed := "with kind " + string(k) + " no figures"
	if len(has) > 0 {
		allowed = "with kind " + string(k) + " " + strings.Join(has, ", ")
	}
	for _, x := range figures() {
		if given.keys[x.key] != nil && !slices.Contains(has, x.key) {
			return []*nemesis.FieldError{fieldError(x.key, "a figure of other kinds", allowed)}
		}
	}
	return nil
}

// asFields turns an error of nemesis into that of a field below a path.
func asFields(path string, err error) []*nemesis.FieldError {
	var f *nemesis.FieldError
	if !errors.As(err, &f) {
		return nil
	}
	return []*nemesis.FieldError{fieldError(path+f.Field, f.Found, f.Allowed)}
}

func checkPlan(object any, given *place) []*nemesis.FieldError {
	p := object.(*Plan)
	wrong := asFields("", p.Timing.Validate())
	if len(p.Mix) == 0 {
		wrong = append(wrong, fieldError("mix", "", "one choice or more"))
	}
	for i, c := range p.Mix {
		path := fmt.Sprintf("mix.%d.", i)
		strange := strangeFigures(c.Kind, given.keys["mix"].items[i])
		for _, e := range strange {
			wrong = append(wrong, fieldError(path+e.Field, e.Found, e.Allowed))
		}
		if strange == nil {
			wrong = append(wrong, asFields(path, c.Validate(p.Timing))...)
		}
	}
	return wrong
}

func checkExpect(object any, _ *place) []*nemesis.FieldError {
	e := object.(*Expect)
	var wrong []*nemesis.FieldError
	for i, name := range e.Anomalies {
		if slices.Contains(e.NoAnomalies, name) {
			wrong = append(wrong, fieldError(fmt.Sprintf("anomalies.%d", i), name, "not what noAnomalies has, too"))
		}
	}
	if e.Lost == Some && len(e.Verdict) == 1 && e.Verdict[0] == string(result.Kept) {
		wrong = append(wrong, fieldError("lost", string(Some), "none, any: what was kept lost nothing"))
	}
	return wrong
}

func checkScenario(object any, given *place) []*nemesis.FieldError {
	s := object.(*Scenario)
	var wrong []*nemesis.FieldError
	add := func(field, found, allowed string) { wrong = append(wrong, fieldError(field, found, allowed)) }
	if s.Plan != nil && given.keys["faults"] != nil {
		add("plan", "faults as well", "either of them")
	}
	for i, f := range s.Faults {
		if i > 0 && f.At < s.Faults[i-1].At {
			add(fmt.Sprintf("faults.%d.at", i), shortDuration(f.At), shortDuration(s.Faults[i-1].At)+", when the fault before it strikes, or later")
		}
		if why := impossible(f, s.Cluster.Brokers); why != "" {
			add(fmt.Sprintf("faults.%d.%s", i, why), wordOf(f, why), fmt.Sprintf("one that a cluster of brokers: %d has", s.Cluster.Brokers))
		}
	}
	if s.Plan != nil {
		wrong = append(wrong, impossibleChoices(s.Plan.Mix, s.Cluster.Brokers)...)
	}
	if s.Cluster.Groups > 1 && s.Cluster.Mode == "dledger" {
		add("cluster.groups", fmt.Sprintf("%d with mode dledger", s.Cluster.Groups), "1 with mode dledger; more with classic or controller")
	}
	if s.Promise != nil && s.Promise.Copies > s.Cluster.Brokers {
		add("promise.copies", fmt.Sprint(s.Promise.Copies), fmt.Sprintf("1 to %d, the brokers of the cluster", s.Cluster.Brokers))
	}
	for _, c := range s.Contracts {
		switch {
		case s.Cluster.TransientStorePool && c.FlushDiskType != asyncFlush:
			add("cluster.transientStorePool", "true with "+ContractName(c), "with "+asyncFlush+" alone")
		case s.Cluster.Brokers < c.InSyncReplicas && !s.Load.Degraded:
			add("cluster.brokers", fmt.Sprintf("%d with %s", s.Cluster.Brokers, ContractName(c)), fmt.Sprintf("%d or more, or load.degraded", c.InSyncReplicas))
		}
	}
	return wrong
}

// impossible returns the key of a fault that a group of so many brokers cannot have; "" when it can.
func impossible(f nemesis.Fault, brokers int) string {
	switch {
	case f.Target == nemesis.Slave && brokers < 2, f.Target == nemesis.Minority && brokers < 3:
		return "target"
	case f.Recovery == nemesis.Promoted && brokers < 2:
		return "recovery"
	case f.Params.Peer == nemesis.Slave && brokers < 2:
		return "peer"
	case (f.Params.Shape == nemesis.Bridge || f.Params.Shape == nemesis.Ring) && brokers < 3:
		return "shape"
	}
	return ""
}

func wordOf(f nemesis.Fault, key string) string {
	return map[string]string{"target": string(f.Target), "recovery": string(f.Recovery), "peer": string(f.Params.Peer), "shape": string(f.Params.Shape)}[key]
}

func impossibleChoices(mix nemesis.Mix, brokers int) []*nemesis.FieldError {
	var wrong []*nemesis.FieldError
	for i, c := range mix {
		probes := []nemesis.Fault{{Params: c.Low}}
		for _, t := range c.Targets {
			probes = append(probes, nemesis.Fault{Target: t})
		}
		for _, r := range c.Recoveries {
			probes = append(probes, nemesis.Fault{Recovery: r})
		}
		for _, f := range probes {
			if key := impossible(f, brokers); key != "" {
				wrong = append(wrong, fieldError(fmt.Sprintf("plan.mix.%d.%s", i, key), wordOf(f, key), fmt.Sprintf("one that a cluster of brokers: %d has", brokers)))
			}
		}
	}
	return wrong
}
