package route

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// ErrMetadata says that bytes are no metadata of a controller.
var ErrMetadata = errors.New("route: malformed controller metadata")

const metadataTitle = "holdfast controller 1"

// Metadata returns what must be saved: a title with the CRC of the rest, then a line for each group and, behind it, one
// for each of its nodes. Texts are quoted.
func (c *Controller) Metadata() []byte {
	var b []byte
	for i := range c.groups {
		g := &c.groups[i]
		b = fmt.Appendf(b, "group %q %q %d %d %d %d %d\n", g.name, g.cluster, g.epoch, g.version, g.master, g.floor.epoch, g.floor.offset)
		for j := range g.nodes {
			n := &g.nodes[j]
			b = fmt.Appendf(b, "node %d %q %q %d %t %t\n", n.id, n.addr, n.ha, n.incarnation, n.inSync, n.doubtful)
		}
	}
	return append(fmt.Appendf(nil, "%s %d\n", metadataTitle, crc32.ChecksumIEEE(b)), b...)
}

// read takes what Metadata wrote.
func (c *Controller) read(b []byte) error {
	if b == nil {
		return nil
	}
	title, rest, _ := bytes.Cut(b, []byte{'\n'})
	if want := fmt.Sprintf("%s %d", metadataTitle, crc32.ChecksumIEEE(rest)); string(title) != want {
		return fmt.Errorf("%w: %q, not %q", ErrMetadata, title, want)
	}
	for line := range strings.Lines(string(rest)) {
		if err := c.readLine(strings.TrimSuffix(line, "\n")); err != nil {
			return fmt.Errorf("%w: %q: %w", ErrMetadata, line, err)
		}
	}
	return nil
}

func (c *Controller) readLine(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	f := fields{rest: rest}
	switch {
	case kind == "group":
		g := replicaGroup{name: f.text(), cluster: f.text(), epoch: int32(f.number()), version: int32(f.number()), master: f.number()}
		g.floor = logEnd{int32(f.number()), f.number()}
		c.groups = append(c.groups, g)
	case kind == "node" && len(c.groups) > 0:
		g := &c.groups[len(c.groups)-1]
		g.nodes = append(g.nodes, replicaNode{id: f.number(), addr: f.text(), ha: f.text(), incarnation: f.number(), inSync: f.boolean(), doubtful: f.boolean()})
	default:
		return errors.New("neither group nor node")
	}
	return f.err
}

// fields reads the values of a line one after the other.
type fields struct {
	rest string
	err  error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *fields) word() (w string) {
	w, f.rest, _ = strings.Cut(f.rest, " ")
	return w
}

func (f *fields) text() string {
	quoted, err := strconv.QuotedPrefix(f.rest)
	if err != nil {
		f.fail(err)
		return ""
	}
	f.rest = strings.TrimPrefix(f.rest[len(quoted):], " ")
	s, err := strconv.Unquote(quoted)
	if err != nil {
		f.fail(err)
	}
	return s
}

func (f *fields) number() int64 {
	n, err := strconv.ParseInt(f.word(), 10, 64)
	if err != nil {
		f.fail(err)
	}
	return n
}

func (f *fields) boolean() bool {
	b, err := strconv.ParseBool(f.word())
	if err != nil {
		f.fail(err)
	}
	return b
}
