package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"holdfast/nemesis"
)

// Limits of a file: its bytes, those of a line, and how deep flow brackets may be nested.
const (
	fileMax  = 512 << 10
	lineMax  = 8 << 10
	depthMax = 32
)

// reader reads one file and collects what is wrong with it.
type reader struct {
	file  string
	lines []string
	flaws Flaws
}

// place is where a value stands in the file, so that a check of several values can point at one.
type place struct {
	at    *token.Position
	keys  map[string]*place
	items []*place
}

// find returns the place of a path such as mix.2.for, or of the innermost value on the way that is there.
func (p *place) find(path string) *place {
	for word := range strings.SplitSeq(path, ".") {
		next := p.keys[word]
		if i, err := strconv.Atoi(word); err == nil && i >= 0 && i < len(p.items) {
			next = p.items[i]
		}
		if next == nil {
			return p
		}
		p = next
	}
	return p
}

func (r *reader) flaw(at *token.Position, found, allowed, mean string) {
	f := &Flaw{File: r.file, Line: 1, Column: 1, Found: found, Allowed: allowed, Mean: mean}
	if at != nil {
		f.Line, f.Column = max(at.Line, 1), max(at.Column, 1)
	}
	f.Excerpt = excerpt(r.lines, f.Line, f.Column)
	r.flaws = append(r.flaws, f)
}

// wrong reports the fields that a check found wrong in the value at p.
func (r *reader) wrong(p *place, wrong []*nemesis.FieldError) {
	for _, e := range wrong {
		found := "nothing"
		if e.Found != "" {
			found = strconv.Quote(e.Found)
		}
		name := e.Field[strings.LastIndexByte(e.Field, '.')+1:]
		r.flaw(p.find(e.Field).at, fmt.Sprintf("%s: %s found", name, found), e.Allowed, nearest(e.Found, strings.Split(e.Allowed, ", ")))
	}
}

// document reads a file's only document by a form.
func (r *reader) document(data []byte, f form, into any) error {
	r.lines = strings.Split(string(data), "\n")
	if err := r.limits(data); err != nil {
		return err
	}
	body, err := r.parse(data)
	if err != nil {
		return err
	}
	f.read(r, body, into)
	if len(r.flaws) > 0 {
		return r.flaws.sorted()
	}
	return nil
}

// limits refuses what is no file for people: deep nesting would overflow the stack of the YAML parser, which no caller can catch.
func (r *reader) limits(data []byte) error {
	at := &token.Position{Line: 1, Column: 1}
	if len(data) > fileMax {
		r.lines = nil
		r.flaw(at, fmt.Sprintf("the file has %d bytes", len(data)), fmt.Sprintf("up to %d", fileMax), "")
		return r.flaws
	}
	depth := 0
	for i, line := range r.lines {
		at.Line = i + 1
		switch {
		case len(line) > lineMax:
			r.flaw(at, fmt.Sprintf("the line has %d bytes", len(line)), fmt.Sprintf("up to %d", lineMax), "")
		case !utf8.ValidString(line) || strings.ContainsRune(line, 0):
			r.flaw(at, "the line is no text", "UTF-8", "")
		}
		depth += strings.Count(line, "[") + strings.Count(line, "{")
		if depth > depthMax {
			r.flaw(at, fmt.Sprintf("%d brackets are open", depth), fmt.Sprintf("up to %d", depthMax), "")
		}
		depth = max(0, depth-strings.Count(line, "]")-strings.Count(line, "}"))
		if len(r.flaws) > 0 {
			return r.flaws
		}
	}
	return nil
}

// parse returns the body of the only document. The YAML parser is known to panic on some malformed files.
func (r *reader) parse(data []byte) (body ast.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.flaw(nil, "the file is no YAML", "YAML", "")
			body, err = nil, r.flaws
		}
	}()
	file, err := parser.ParseBytes(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var at *token.Position
		said := err.Error()
		var located yaml.Error
		if errors.As(err, &located) {
			said = located.GetMessage()
			if t := located.GetToken(); t != nil {
				at = t.Position
			}
		}
		allowed := ""
		if strings.HasPrefix(said, "mapping value is not allowed") {
			allowed = `text with ": " in it stands in quotes`
		}
		r.flaw(at, "the file is no YAML: "+said, allowed, "")
		return nil, r.flaws
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.CommentGroupType:
		case body != nil:
			r.flaw(position(doc.Body), "a second document found", "one", "")
			return nil, r.flaws
		default:
			body = doc.Body
		}
	}
	if body == nil {
		r.flaw(nil, "the file is empty", "", "")
		return nil, r.flaws
	}
	return body, nil
}

// position returns where a value begins.
func position(n ast.Node) *token.Position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return position(n.Values[0])
		}
	case *ast.MappingValueNode:
		return position(n.Key)
	}
	if n == nil {
		return nil
	}
	if t := n.GetToken(); t != nil {
		return t.Position
	}
	return nil
}

// found says what a value is, for a reader: text "fast", the number 7, a list.
func found(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return "the text " + quoted(n.Value)
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + n.GetToken().Value
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case nil:
		return "nothing"
	}
	return fmt.Sprintf("%s, which is not allowed here,", strings.ToLower(n.Type().YAMLName()))
}

// quoted shortens and quotes a text for a message.
func quoted(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		s = string(runes[:60]) + "..."
	}
	return strconv.Quote(s)
}
