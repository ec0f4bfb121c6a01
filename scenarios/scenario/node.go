package scenario

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// node is a value to be written as YAML: a scalar as it stands, a list of items, or a mapping of keys to items.
type node struct {
	scalar string
	list   bool
	keys   []string
	items  []node
}

// text is a scalar that must be read back as text: quoted where it could be taken for something else.
func text(s string) node {
	if plainText.MatchString(s) && !slices.Contains(notText, strings.ToLower(s)) {
		return node{scalar: s}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("scenario: a string is no JSON: " + err.Error()) // every string is
	}
	return node{scalar: strings.TrimSuffix(b.String(), "\n")}
}

// plainText are texts that need no quotes: names, paths, times and sizes.
var plainText = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+-]+)*|-?([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+|[0-9]+[KMG]iB)$`)

// notText are plain texts that some YAML takes for a truth, a number or nothing.
var notText = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "0x", "0o", "0b"}

// flow is the node on one line.
func (n node) flow() string {
	if !n.list && n.keys == nil && n.items == nil {
		if n.scalar == "" {
			return "{}"
		}
		return n.scalar
	}
	parts := make([]string, len(n.items))
	for i, item := range n.items {
		parts[i] = item.flow()
		if !n.list {
			parts[i] = text(n.keys[i]).scalar + ": " + parts[i]
		}
	}
	if n.list {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// flowMax is the length of a line up to which a node is written in it.
const flowMax = 140

// block writes the pairs of a mapping, one a line, and what is too long for a line, or a list of mappings, below its key.
func (n node) block(b *strings.Builder, indent string) {
	for i, item := range n.items {
		b.WriteString(indent + text(n.keys[i]).scalar + ":")
		flow := item.flow()
		switch {
		case item.list && len(item.items) > 0 && item.items[0].keys != nil:
			b.WriteString("\n")
			for _, one := range item.items {
				one.entry(b, indent+"  ")
			}
		case len(flow) > flowMax && item.keys != nil:
			b.WriteString("\n")
			item.block(b, indent+"  ")
		default:
			b.WriteString(" " + flow + "\n")
		}
	}
}

// entry writes a mapping as an entry of a list.
func (n node) entry(b *strings.Builder, indent string) {
	flow := n.flow()
	if len(flow) <= flowMax {
		b.WriteString(indent + "- " + flow + "\n")
		return
	}
	var inner strings.Builder
	n.block(&inner, indent+"  ")
	b.WriteString(indent + "- " + strings.TrimPrefix(inner.String(), indent+"  "))
}
