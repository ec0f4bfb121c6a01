package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"holdfast/nemesis"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema())))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaRefusesWhatTheParserRefuses holds the schema against the parser: what it cannot say is listed.
func TestSchemaRefusesWhatTheParserRefuses(t *testing.T) {
	beyond := []string{ // several keys together, and the form of the file itself
		"a time that is too long", "bytes beyond every number", "a fault that does not last", "faults out of order", "an empty mix",
		"the larger end first", "a choice that may not last", "a slave that is not there", "a minority of two",
		"a slave to wait for that is not there", "a pool that is flushed", "an anomaly that must and must not", "kept, and lost",
		"a key twice", "a key twice inside", "a setting twice", "an alias", "a tag", "a merge", "a second document", "a key that is no text", "no text at all",
	}
	schema := compiled(t)
	for _, row := range flawRows {
		var document any
		if yaml.Unmarshal([]byte(head+row.body), &document) != nil {
			continue // no schema is asked about what is no YAML
		}
		if err := schema.Validate(document); err == nil && !slices.Contains(beyond, row.says) {
			t.Errorf("%s: the schema accepts it", row.says)
		} else if err != nil && slices.Contains(beyond[:13], row.says) {
			t.Errorf("%s: the schema refuses it, too; take it off the list", row.says)
		}
	}
}

// TestSchemaHasEveryKey walks the table and the schema together: every key in one is in the other, and each has a description.
func TestSchemaHasEveryKey(t *testing.T) {
	for name, text := range map[string][]byte{"scenario": Schema(), "schedule": ScheduleSchema()} {
		var document map[string]any
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		form := map[string]*object{"scenario": scenarioTable(), "schedule": savedTable()}[name]
		sameKeys(t, name, form, document)
	}
}

func sameKeys(t *testing.T, path string, f *object, schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	if len(properties) != len(f.fields) || schema["additionalProperties"] != false {
		t.Errorf("%s: %d keys in the schema, %d in the table", path, len(properties), len(f.fields))
	}
	for _, x := range f.fields {
		property, ok := properties[x.key].(map[string]any)
		if !ok {
			t.Errorf("%s.%s is not in the schema", path, x.key)
			continue
		}
		if text, _ := property["description"].(string); text != x.doc || !strings.HasSuffix(text, ".") {
			t.Errorf("%s.%s: description %q, in the table %q", path, x.key, text, x.doc)
		}
		if inner, at := innerObject(x.form, property); inner != nil {
			sameKeys(t, path+"."+x.key, inner, at)
		}
	}
}

// innerObject returns the object within a form, and its schema.
func innerObject(f form, schema map[string]any) (*object, map[string]any) {
	switch f := f.(type) {
	case *object:
		return f, schema
	case optional:
		return innerObject(f.of, schema)
	case list:
		if f.lenient {
			schema = schema["anyOf"].([]any)[1].(map[string]any)
		}
		return innerObject(f.of, schema["items"].(map[string]any))
	}
	return nil, nil
}

// TestTableHasEveryField holds that a fault can be written in a file whatever is in it: each figure of nemesis is a key.
func TestTableHasEveryField(t *testing.T) {
	var keys []string
	for _, x := range figures() {
		keys = append(keys, x.key)
	}
	var known []string
	for _, k := range nemesis.Kinds() {
		known = append(known, k.Params()...)
	}
	slices.Sort(known)
	slices.Sort(keys)
	if diff := cmp.Diff(keys, slices.Compact(known)); diff != "" {
		t.Errorf("figures of the table -, of nemesis +:\n%s", diff)
	}
}

// TestTableHasTheRangesOfNemesis holds that the table does not refuse what nemesis allows, at both ends.
func TestTableHasTheRangesOfNemesis(t *testing.T) {
	for _, row := range []struct {
		fault string
		good  bool
	}{
		{"kind: loss, for: 1s, percent: 100", true}, {"kind: loss, for: 1s, percent: 100.1", false}, {"kind: loss, for: 1s, percent: 0", false},
		{"kind: delay, for: 1s, delay: 1h", true}, {"kind: delay, for: 1s, delay: 2h", false}, {"kind: delay, for: 1s, delay: -1s", false},
		{"kind: clock-jump, for: 1s, delay: -8784h", true}, {"kind: clock-jump, for: 1s, delay: 8785h", false}, {"kind: clock-jump, for: 1s, delay: 0s", false},
		{"kind: clock-drift, for: 1s, ppm: -500000", true}, {"kind: clock-drift, for: 1s, ppm: 500001", false},
		{"kind: bandwidth, for: 1s, rate: 1024GiB", true}, {"kind: bandwidth, for: 1s, rate: 1025GiB", false},
		{"kind: disk-full, for: 1s, bytes: 0", true}, {"kind: bit-flip, bytes: 1", true},
		{"kind: write-error, for: 1s, times: 1000000", true}, {"kind: write-error, for: 1s, times: 1000001", false},
		{"kind: fsync-error, for: 1s, path: /etc", false}, {"kind: fsync-error, for: 1s, path: a/../b", false}, {"kind: fsync-error, for: 1s, path: consumequeue/T", true},
		{"kind: kill, at: 24h, for: 24h", true}, {"kind: kill, at: 25h", false},
		{"kind: power, window: 24h, survive: {percent: 100}", true}, {"kind: power, survive: {percent: 101}", false},
		{"kind: upgrade, version: 5.5.0", true}, {"kind: upgrade, version: 5.5", false},
	} {
		_, err := Parse("x.yaml", fmt.Appendf(nil, "%sfaults: [{%s}]\n", head, row.fault))
		if (err == nil) != row.good {
			t.Errorf("%s: %v", row.fault, err)
		}
	}
}
