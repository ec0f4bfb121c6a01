package nemesis

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fieldOf returns the field that an error names, "" for no error, "?" for another error.
func fieldOf(err error) string {
	var f *FieldError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &f):
		return f.Field
	}
	return "?"
}

func TestValidate(t *testing.T) {
	second := time.Second
	for _, row := range []struct {
		says  string
		fault Fault
		field string
	}{
		{"the healthy system", Fault{Kind: None}, ""},
		{"nobody to strike", Fault{Kind: None, Target: Master}, "target"},
		{"nothing for a second", Fault{Kind: None, For: second}, "for"},
		{"unknown kind", Fault{Kind: "meteor"}, "kind"},
		{"no kind", Fault{}, "kind"},
		{"kill with its defaults", Fault{Kind: Kill}, ""},
		{"unknown target", Fault{Kind: Kill, Target: "boss"}, "target"},
		{"clients are no node", Fault{Kind: Kill, Target: Clients}, "target"},
		{"before the schedule", Fault{Kind: Kill, At: -1}, "at"},
		{"for ever", Fault{Kind: Kill, For: 25 * time.Hour}, "for"},
		{"unknown recovery", Fault{Kind: Kill, Recovery: "resurrected"}, "recovery"},
		{"a pause stops no node", Fault{Kind: Pause, For: second, Recovery: Returns}, "recovery"},
		{"a pause that does not last", Fault{Kind: Pause}, "for"},
		{"nobody is left to be promoted", Fault{Kind: Power, Target: All, Recovery: Promoted}, "recovery"},
		{"nobody takes over from a slave", Fault{Kind: Kill, Target: Slave, Recovery: Promoted}, "recovery"},
		{"a promotion returns nothing", Fault{Kind: Promote, Recovery: Returns}, "recovery"},
		{"a promotion of the slave beside its master", Fault{Kind: Promote, Target: Slave}, ""},
		{"a figure of another kind", Fault{Kind: Kill, Params: Params{Percent: 3}}, "percent"},
		{"a window that nobody cuts in", Fault{Kind: Kill, Params: Params{Window: second}}, "window"},
		{"survivors of a kill", Fault{Kind: Kill, Params: Params{Survive: Survive{Tear: true}}}, "survive"},
		{"a power cut with everything", Fault{Kind: Power, Target: All, Params: Params{Window: 10 * second, Survive: Survive{Percent: 100, Writeback: true, Tear: true, Reorder: true}}}, ""},
		{"more survivors than there were", Fault{Kind: Power, Params: Params{Survive: Survive{Percent: 101}}}, "survive"},
		{"no share", Fault{Kind: Loss, For: second}, "percent"},
		{"not a number", Fault{Kind: Loss, For: second, Params: Params{Percent: math.NaN()}}, "percent"},
		{"not a number that the kind does not have", Fault{Kind: Kill, Params: Params{PPM: math.NaN()}}, "ppm"},
		{"delay without a delay", Fault{Kind: Delay, For: second}, "delay"},
		{"a delay into the past", Fault{Kind: Delay, For: second, Params: Params{Delay: -second}}, "delay"},
		{"a jump into the past", Fault{Kind: ClockJump, For: second, Params: Params{Delay: -second}}, ""},
		{"no jump", Fault{Kind: ClockJump, For: second}, "delay"},
		{"a drift that is infinite", Fault{Kind: ClockDrift, For: second, Params: Params{PPM: math.Inf(1)}}, "ppm"},
		{"a peer that isolation has no use for", Fault{Kind: Partition, For: second, Params: Params{Shape: Isolate, Peer: Slave}}, "peer"},
		{"master together with the clients", Fault{Kind: Partition, For: second, Params: Params{Peer: Servers}}, ""},
		{"unknown shape", Fault{Kind: Partition, For: second, Params: Params{Shape: "star"}}, "shape"},
		{"a path out of the store", Fault{Kind: FsyncError, For: second, Params: Params{Path: "a/../../etc"}}, "path"},
		{"a path from the root", Fault{Kind: WriteError, For: second, Params: Params{Path: "/etc"}}, "path"},
		{"pages nobody knows", Fault{Kind: FsyncError, For: second, Params: Params{Pages: "burn"}}, "pages"},
		{"an upgrade to nothing", Fault{Kind: Upgrade}, "version"},
		{"a full disk with nothing left", Fault{Kind: DiskFull, For: second}, ""},
	} {
		err := Validate(row.fault.WithDefaults())
		if got := fieldOf(err); got != row.field {
			t.Errorf("%s: got %v, want an error of %q", row.says, err, row.field)
		}
	}
}

// TestEveryKindIsComplete holds the tables against each other: each kind says what it does, takes only figures that exist, and is
// valid once it has what it needs.
func TestEveryKindIsComplete(t *testing.T) {
	var known []string
	for _, p := range params {
		known = append(known, p.name)
	}
	used := map[string]bool{}
	for _, r := range kindRules {
		if r.does == "" {
			t.Errorf("%s does not say what it does", r.kind)
		}
		for _, name := range r.params {
			used[name] = true
			if !slices.Contains(known, name) {
				t.Errorf("%s takes %s, which is no figure", r.kind, name)
			}
		}
		for _, name := range r.need {
			if !slices.Contains(r.params, name) {
				t.Errorf("%s needs %s, which it does not take", r.kind, name)
			}
		}
		f := Fault{Kind: r.kind, Params: needed(r.need)}
		if r.kind.Lasts() {
			f.For = time.Second
		}
		if err := Validate(f.WithDefaults()); err != nil {
			t.Errorf("%s with what it needs: %v", r.kind, err)
		}
		if len(r.need) > 0 && Validate((Fault{Kind: r.kind, For: time.Second}).WithDefaults()) == nil {
			t.Errorf("%s without what it needs is valid", r.kind)
		}
	}
	for _, name := range known {
		if !used[name] {
			t.Errorf("no kind takes %s", name)
		}
	}
}

func needed(names []string) Params {
	var p Params
	for _, name := range names {
		switch name {
		case "percent":
			p.Percent = 1
		case "delay":
			p.Delay = 1
		case "rate":
			p.Rate = 1
		case "ppm":
			p.PPM = 1
		case "version":
			p.Version = "5.5.0"
		}
	}
	return p
}

func TestDefaultsAreFilledOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Fault{Kind: rapid.SampledFrom(Kinds()).Draw(t, "kind"), Target: rapid.SampledFrom(append(Peers(), "")).Draw(t, "target")}
		once := f.WithDefaults()
		if once.WithDefaults() != once {
			t.Fatalf("twice: %v, once: %v", once.WithDefaults(), once)
		}
		if f.Target != "" && once.Target != f.Target {
			t.Fatalf("the target became %s", once.Target)
		}
	})
}

func TestScheduleValidate(t *testing.T) {
	kill := Fault{Kind: Kill, Target: Master, Recovery: Returns}
	later := kill
	later.At = time.Second
	if err := (Schedule{later, kill}).Validate(); fieldOf(err) != "at" {
		t.Errorf("out of order: %v", err)
	}
	if err := (Schedule{kill, {Kind: "meteor"}}).Validate(); fieldOf(err) != "kind" {
		t.Errorf("a bad one at the end: %v", err)
	}
	sorted := Schedule{later, kill}.Sorted()
	if err := sorted.Validate(); err != nil || sorted[0] != kill {
		t.Errorf("sorted: %v, %v", sorted, err)
	}
}

func TestText(t *testing.T) {
	for _, row := range []struct {
		fault Fault
		want  string
	}{
		{Fault{Kind: None}, "+0s none"},
		{Fault{Kind: Kill, Target: Master, At: 2 * time.Hour, For: 90 * time.Second, Recovery: Promoted}, "+2h kill of master for 1m30s, then promoted"},
		{Fault{Kind: Loss, Target: Slave, At: 5 * time.Second, For: time.Second, Params: Params{Peer: Clients, Percent: 2.5}}, "+5s loss of slave for 1s: peer clients, percent 2.5"},
		{Fault{Kind: Power, Target: All, Recovery: Returns, Off: true, Params: Params{Survive: Survive{Percent: 3, Tear: true}}}, "+0s power of all, then returns, switched off: survive 3%+tear"},
	} {
		if got := row.fault.String(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}
