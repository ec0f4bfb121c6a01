package scenario

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"holdfast/nemesis"
)

// list is several values of one form. One value without brackets is a list of one, where that reads well.
type list struct {
	of      form
	max     int
	lenient bool
}

// namesOf is a list of words, or one of them.
func namesOf(names []string) list {
	return list{of: words{list: names}, max: 100, lenient: true}
}

func (f list) read(r *reader, n ast.Node, into any) *place {
	slice := reflect.ValueOf(into).Elem()
	items := []ast.Node{n}
	sequence, ok := n.(*ast.SequenceNode)
	switch {
	case ok:
		items = sequence.Values
	case !f.lenient:
		return refuse(r, n, f, "")
	}
	p := &place{at: position(n)}
	if len(items) > f.max {
		r.flaw(p.at, fmt.Sprintf("a list of %d found", len(items)), f.allowed(), "")
		return p
	}
	for _, item := range items {
		one := reflect.New(slice.Type().Elem())
		p.items = append(p.items, f.of.read(r, item, one.Interface()))
		slice.Set(reflect.Append(slice, one.Elem()))
	}
	return p
}

func (f list) write(from any) node {
	slice := reflect.ValueOf(from).Elem()
	n := node{list: true}
	for i := range slice.Len() {
		n.items = append(n.items, f.of.write(slice.Index(i).Addr().Interface()))
	}
	if f.lenient && len(n.items) == 1 {
		return n.items[0]
	}
	return n
}

func (f list) schema() schema {
	s := schema{"type": "array", "items": f.of.schema(), "maxItems": f.max}
	if f.lenient {
		return schema{"anyOf": []schema{f.of.schema(), s}}
	}
	return s
}

func (f list) allowed() string {
	if f.lenient {
		return "one, or a list, of " + f.of.allowed()
	}
	return fmt.Sprintf("a list of up to %d: %s", f.max, f.of.allowed())
}

// pair points at the two ends of a range.
type pair struct{ low, high any }

// ranged is a value, or the smallest and the largest of a range: 2s or [1s, 3s].
type ranged struct{ of form }

func (f ranged) read(r *reader, n ast.Node, into any) *place {
	ends := into.(pair)
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		f.of.read(&reader{}, n, ends.high) // what is wrong with it is said once
		return f.of.read(r, n, ends.low)
	}
	if len(sequence.Values) != 2 {
		return refuse(r, n, f, "")
	}
	p := &place{at: position(n)}
	flaws := len(r.flaws)
	f.of.read(r, sequence.Values[0], ends.low)
	f.of.read(r, sequence.Values[1], ends.high)
	if len(r.flaws) == flaws && larger(ends.low, ends.high) {
		r.flaw(p.at, "the larger end first found", f.allowed(), "")
	}
	return p
}

func larger(a, b any) bool {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	if x.CanFloat() {
		return x.Float() > y.Float()
	}
	return x.Int() > y.Int()
}

func (f ranged) write(from any) node {
	ends := from.(pair)
	low := f.of.write(ends.low)
	if !larger(ends.high, ends.low) {
		return low
	}
	return node{list: true, items: []node{low, f.of.write(ends.high)}}
}

func (f ranged) schema() schema {
	return schema{"anyOf": []schema{f.of.schema(), {"type": "array", "items": f.of.schema(), "minItems": 2, "maxItems": 2}}}
}
func (f ranged) allowed() string {
	return f.of.allowed() + ", or two of them in brackets, the smaller first"
}

// mapping is keys that people choose, each with a value of one form. It is read into a map of strings.
type mapping struct {
	keyPattern *regexp.Regexp
	of         form
	max        int
	says       string
}

func (f mapping) read(r *reader, n ast.Node, into any) *place {
	pairs, ok := pairsOf(n)
	if !ok || len(pairs) > f.max {
		return refuse(r, n, f, "")
	}
	p := &place{at: position(n), keys: map[string]*place{}}
	m := reflect.ValueOf(into).Elem()
	m.Set(reflect.MakeMap(m.Type()))
	for _, kv := range pairs {
		key, ok := r.key(kv, p)
		if !ok {
			continue
		}
		if !f.keyPattern.MatchString(key) {
			r.flaw(position(kv.Key), fmt.Sprintf("the key %s found", quoted(key)), f.says, "")
			continue
		}
		value := reflect.New(m.Type().Elem())
		p.keys[key] = f.of.read(r, kv.Value, value.Interface())
		m.SetMapIndex(reflect.ValueOf(key), value.Elem())
	}
	return p
}

func (f mapping) write(from any) node {
	m := reflect.ValueOf(from).Elem()
	n := node{}
	keys := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := reflect.New(m.Type().Elem())
		value.Elem().Set(m.MapIndex(reflect.ValueOf(key)))
		n.keys = append(n.keys, key)
		n.items = append(n.items, f.of.write(value.Interface()))
	}
	return n
}

func (f mapping) schema() schema {
	return schema{"type": "object", "propertyNames": schema{"pattern": f.keyPattern.String()}, "additionalProperties": f.of.schema(), "maxProperties": f.max}
}
func (f mapping) allowed() string { return f.says }

// field is one key of an object.
type field struct {
	key, doc string
	form     form
	of       func(object any) any // from a pointer to the object to one to the value
	required bool
}

// at makes a field's of from the type of its object.
func at[T any](of func(*T) any) func(any) any { return func(object any) any { return of(object.(*T)) } }

// object is a mapping with known keys. Its zero value is not used: see objectOf.
type object struct {
	fields []field
	fresh  func() any                                           // a pointer to an object with its defaults
	check  func(object any, given *place) []*nemesis.FieldError // of several keys together, once each is right alone
	extra  func() schema                                        // of several keys together
}

func (f *object) read(r *reader, n ast.Node, into any) *place {
	pairs, ok := pairsOf(n)
	if !ok {
		return refuse(r, n, f, "")
	}
	flaws := len(r.flaws)
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(f.fresh()).Elem())
	p := &place{at: position(n), keys: map[string]*place{}}
	for _, kv := range pairs {
		key, ok := r.key(kv, p)
		if !ok {
			continue
		}
		i := slices.IndexFunc(f.fields, func(x field) bool { return x.key == key })
		if i < 0 {
			r.flaw(position(kv.Key), fmt.Sprintf("the unknown key %s found", quoted(key)), f.allowed(), nearest(key, f.keys()))
			continue
		}
		p.keys[key] = f.fields[i].form.read(r, kv.Value, f.fields[i].of(into))
	}
	for _, x := range f.fields {
		if x.required && p.keys[x.key] == nil {
			r.flaw(p.at, fmt.Sprintf("no key %q found", x.key), "it must be there: "+x.doc, "")
		}
	}
	if len(r.flaws) == flaws && f.check != nil {
		r.wrong(p, f.check(into, p))
	}
	return p
}

// key returns the key of a pair, unless it is none, or a second one.
func (r *reader) key(kv *ast.MappingValueNode, p *place) (string, bool) {
	name, ok := kv.Key.(*ast.StringNode)
	if !ok {
		r.flaw(position(kv.Key), found(kv.Key)+" found as a key", "text", "")
		return "", false
	}
	if p.keys[name.Value] != nil {
		r.flaw(position(kv.Key), fmt.Sprintf("the key %s found a second time", quoted(name.Value)), "each once", "")
		return "", false
	}
	p.keys[name.Value] = &place{at: position(kv.Key)}
	return name.Value, true
}

// pairsOf returns the pairs of a mapping; false when n is none.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func (f *object) keys() []string {
	keys := make([]string, len(f.fields))
	for i, x := range f.fields {
		keys[i] = x.key
	}
	return keys
}

// write leaves out what is as it would be without the key.
func (f *object) write(from any) node {
	fresh := f.fresh()
	n := node{}
	for _, x := range f.fields {
		value := x.form.write(x.of(from))
		if !x.required && value.flow() == x.form.write(x.of(fresh)).flow() {
			continue
		}
		n.keys = append(n.keys, x.key)
		n.items = append(n.items, value)
	}
	return n
}

func (f *object) schema() schema {
	properties := schema{}
	required := []string{}
	for _, x := range f.fields {
		s := maps.Clone(x.form.schema())
		s["description"] = x.doc
		properties[x.key] = s
		if x.required {
			required = append(required, x.key)
		}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if f.extra != nil {
		maps.Copy(s, f.extra())
	}
	return s
}

func (f *object) allowed() string { return "keys " + strings.Join(f.keys(), ", ") }
