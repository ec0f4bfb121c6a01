package scenario

import (
	"fmt"
	"reflect"
	"regexp"

	"github.com/goccy/go-yaml/ast"
)

// optional is a value that may be absent. It is read into a pointer, which is nil then.
type optional struct {
	of     form
	within func(value any) any // from a pointer to the value to what the form reads into; nil: the pointer itself
}

func (f optional) read(r *reader, n ast.Node, into any) *place {
	pointer := reflect.ValueOf(into).Elem()
	pointer.Set(reflect.New(pointer.Type().Elem()))
	return f.of.read(r, n, f.inside(pointer))
}

func (f optional) inside(pointer reflect.Value) any {
	if f.within == nil {
		return pointer.Interface()
	}
	return f.within(pointer.Interface())
}

func (f optional) write(from any) node {
	pointer := reflect.ValueOf(from).Elem()
	if pointer.IsNil() {
		return node{}
	}
	return f.of.write(f.inside(pointer))
}

func (f optional) schema() schema  { return f.of.schema() }
func (f optional) allowed() string { return f.of.allowed() }

// setting is the value of a line of broker.conf: text, or a number or a truth as it stands in the file.
type setting struct{}

// settingMax bounds the characters of a value.
const settingMax = 255

var settingText = line{says: fmt.Sprintf("text of up to %d characters, a number, true, false", settingMax), pattern: regexp.MustCompile(`^[^\x00-\x1f]*$`), max: settingMax}

func (f setting) read(r *reader, n ast.Node, into any) *place {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		*into.(*string) = n.GetToken().Value
		return &place{at: position(n)}
	}
	return settingText.read(r, n, into)
}

func (setting) write(from any) node { return text(*from.(*string)) }
func (setting) schema() schema {
	return schema{"anyOf": []schema{settingText.schema(), {"type": []string{"number", "boolean"}}}}
}
func (setting) allowed() string { return settingText.says }
