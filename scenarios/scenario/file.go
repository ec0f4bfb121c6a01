package scenario

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/nemesis"
)

//go:embed library/*.yaml
var library embed.FS

const extension = ".yaml"

// Names lists the embedded scenarios by name, ascending.
func Names() []string {
	entries, err := library.ReadDir("library")
	if err != nil {
		panic("scenario: the embedded library: " + err.Error()) // the build put it there
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), extension))
	}
	slices.Sort(names)
	return names
}

// Embedded returns an embedded scenario. Its error wraps ErrUnknown and lists what is near, or all; exit code 64.
func Embedded(name string) (Scenario, error) {
	data, err := library.ReadFile("library/" + name + extension)
	if err != nil {
		return Scenario{}, unknown(name)
	}
	return Parse(name+extension, data)
}

func unknown(name string) error {
	names := Names()
	near := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return edits(name, n) > max(2, len(n)/3) && !strings.Contains(n, name) })
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(edits(name, a), edits(name, b)) })
	hint := "allowed: a .yaml file, or " + strings.Join(names, ", ")
	if len(near) > 0 && name != "" {
		hint = fmt.Sprintf("did you mean %s? (all: holdfast run --list)", strings.Join(near[:min(len(near), 5)], ", "))
	}
	return usageError{fmt.Errorf("%w %q; %s", ErrUnknown, name, hint)}
}

// Parse reads a scenario. The error is Flaws, with everything that is wrong; file is the name that they show.
func Parse(file string, data []byte) (Scenario, error) {
	var s Scenario
	if err := (&reader{file: file}).document(data, scenarioTable(), &s); err != nil {
		return Scenario{}, err
	}
	return s, nil
}

// Load reads a scenario from a file, where nameOrPath has a slash or ends in .yaml or .yml, else the embedded one of that name.
func Load(nameOrPath string) (Scenario, error) {
	if !strings.ContainsRune(nameOrPath, filepath.Separator) && !strings.HasSuffix(nameOrPath, extension) && !strings.HasSuffix(nameOrPath, ".yml") {
		return Embedded(nameOrPath)
	}
	data, err := read(nameOrPath)
	if err != nil {
		return Scenario{}, err
	}
	return Parse(nameOrPath, data)
}

// read reads a file that the user named: one that is not there, or that nobody may read, is wrong usage.
func read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, usageError{err}
	}
	return data, err
}

// Encode returns the scenario as a file, in the order of the table and without what is as the defaults are. Parse reads the same
// scenario from it.
func (s Scenario) Encode() []byte {
	var b strings.Builder
	scenarioTable().write(&s).block(&b, "")
	return []byte(b.String())
}

// Saved is a schedule as it is kept in a file, so that it can be replayed.
type Saved struct {
	Version  int    // of the format: 1
	Seed     uint64 // of the run that drew it
	Scenario string // that it was drawn for; may be empty
	Faults   nemesis.Schedule
}

// ScheduleVersion is the version of schedule files that this package writes.
const ScheduleVersion = 1

func savedForm() *object {
	return &object{fresh: fresh[Saved](), check: checkSaved, fields: []field{
		{key: "schedule", doc: "Version of the format: 1.", form: integer{min: 1, max: ScheduleVersion}, of: at(func(s *Saved) any { return &s.Version }), required: true},
		{key: "seed", doc: "Of the run that the schedule was drawn for.", form: seed, of: at(func(s *Saved) any { return &s.Seed }), required: true},
		{key: "scenario", doc: "That it was drawn for.", form: id, of: at(func(s *Saved) any { return &s.Scenario })},
		{key: "faults", doc: "In the order in which they strike.", form: list{of: faultForm(), max: nemesis.FaultsMax}, of: at(func(s *Saved) any { return &s.Faults }), required: true},
	}}
}

func checkSaved(object any, _ *place) []*nemesis.FieldError {
	s := object.(*Saved)
	for i := 1; i < len(s.Faults); i++ {
		if before := s.Faults[i-1].At; s.Faults[i].At < before {
			return []*nemesis.FieldError{fieldError(fmt.Sprintf("faults.%d.at", i), shortDuration(s.Faults[i].At), shortDuration(before)+", when the fault before it strikes, or later")}
		}
	}
	return nil
}

// ParseSchedule reads a schedule file. The error is Flaws.
func ParseSchedule(file string, data []byte) (Saved, error) {
	var s Saved
	if err := (&reader{file: file}).document(data, savedTable(), &s); err != nil {
		return Saved{}, err
	}
	return s, nil
}

// ReadSchedule reads the schedule file at path.
func ReadSchedule(path string) (Saved, error) {
	data, err := read(path)
	if err != nil {
		return Saved{}, err
	}
	return ParseSchedule(path, data)
}

// Encode returns the schedule as a file.
func (s Saved) Encode() []byte {
	s.Version = ScheduleVersion
	var b strings.Builder
	b.WriteString("# Replay with: holdfast run SCENARIO --schedule FILE\n")
	savedTable().write(&s).block(&b, "")
	return []byte(b.String())
}

// WriteSchedule writes the schedule file at path.
func WriteSchedule(path string, s Saved) error { return os.WriteFile(path, s.Encode(), 0o644) }

// Schema returns the JSON Schema of scenario files, indented.
func Schema() []byte { return encodeSchema("holdfast scenario", scenarioTable()) }

// ScheduleSchema returns the JSON Schema of schedule files, indented.
func ScheduleSchema() []byte { return encodeSchema("holdfast schedule", savedTable()) }

func encodeSchema(title string, f *object) []byte {
	s := f.schema()
	s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", title
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("scenario: the schema is no JSON: " + err.Error()) // plain data
	}
	return append(data, '\n')
}
