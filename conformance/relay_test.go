package conformance

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// traffic is what relays saw: the response codes to each request code of each client.
type traffic struct {
	mu   sync.Mutex
	seen map[string]map[int]map[int]bool // by client, request code, response code
}

func (tr *traffic) note(client string, code, answer int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.seen[client] == nil {
		tr.seen[client] = map[int]map[int]bool{}
	}
	if tr.seen[client][code] == nil {
		tr.seen[client][code] = map[int]bool{}
	}
	if answer >= 0 {
		tr.seen[client][code][answer] = true
	}
}

// codes returns the response codes by request code, sorted.
func (tr *traffic) codes(client string) map[int][]int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	all := map[int][]int{}
	for code, answers := range tr.seen[client] {
		all[code] = slices.Sorted(maps.Keys(answers))
	}
	return all
}

// relays stand between one client and the nodes of a group, and note what passes. They replace the nodes' addresses by their own
// wherever these occur: as text in routes, as numbers in offset ids and in the records of the log. All have the same length.
type relays struct {
	t        *testing.T
	traffic  *traffic
	client   string
	forward  map[string]string // address of the node by that of the relay
	outwards [][2][]byte       // what is replaced on its way to the client, and by what
}

// newRelays returns the relays of a client to nodes; at is their addresses in the same order.
func newRelays(t *testing.T, tr *traffic, client string, nodes ...string) (r *relays, at []string) {
	t.Helper()
	r = &relays{t: t, traffic: tr, client: client, forward: map[string]string{}}
	for _, node := range nodes {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		own := ln.Addr().String()
		if len(own) != len(node) {
			t.Fatalf("relay %s and node %s: addresses of different lengths cannot replace each other", own, node)
		}
		r.forward[own] = node
		r.outwards = append(r.outwards, replacements(node, own)...)
		at = append(at, own)
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				go r.serve(conn, node)
			}
		}()
	}
	return r, at
}

// replacements returns what replaces an address by another in each of its forms.
func replacements(from, to string) (all [][2][]byte) {
	forms := func(s string) [][]byte {
		a := netip.MustParseAddrPort(s)
		ip := a.Addr().As4()
		number := binary.BigEndian.AppendUint32(ip[:], uint32(a.Port()))
		return [][]byte{[]byte(s), []byte(strings.ToUpper(hex.EncodeToString(number))), number}
	}
	for i, f := range forms(from) {
		all = append(all, [2][]byte{f, forms(to)[i]})
	}
	return all
}

// serve carries frames between a client and a node until either ends.
func (r *relays) serve(client net.Conn, node string) {
	defer client.Close()
	server, err := net.Dial("tcp", node)
	if err != nil {
		return // the node is gone: so is its relay
	}
	defer server.Close()
	open := &exchange{asked: map[int32]int{}}
	back := &exchange{asked: map[int32]int{}}
	go func() {
		defer client.Close()
		defer server.Close()
		r.carry(server, client, open, back, false)
	}()
	r.carry(client, server, back, open, true)
}

// exchange is the requests of one side that wait for their answer.
type exchange struct {
	mu    sync.Mutex
	asked map[int32]int // request code by opaque
}

// carry takes frames from one side to the other. Requests of the side are noted in own, answers are for requests of other.
func (r *relays) carry(from, to net.Conn, other, own *exchange, inwards bool) {
	for {
		raw, err := rawFrame(from)
		if err != nil {
			return
		}
		for _, pair := range r.outwards {
			if inwards {
				raw = bytes.ReplaceAll(raw, pair[1], pair[0])
			} else {
				raw = bytes.ReplaceAll(raw, pair[0], pair[1])
			}
		}
		r.look(raw, other, own)
		if _, err := to.Write(raw); err != nil {
			return
		}
	}
}

func (r *relays) look(raw []byte, other, own *exchange) {
	code, opaque, flag, err := headOf(raw)
	if err != nil {
		r.t.Errorf("relay of %s: %v", r.client, err)
		return
	}
	if flag&1 == 0 {
		own.mu.Lock()
		defer own.mu.Unlock()
		own.asked[opaque] = code
		r.traffic.note(r.client, code, -1)
		return
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	if asked, ok := other.asked[opaque]; ok {
		delete(other.asked, opaque)
		r.traffic.note(r.client, asked, code)
	}
}

func rawFrame(from io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > 64<<20 {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	raw := make([]byte, 4+n)
	copy(raw, length[:])
	_, err := io.ReadFull(from, raw[4:])
	return raw, err
}

// headOf returns what a relay needs of a header in either form.
func headOf(raw []byte) (code int, opaque int32, flag int, err error) {
	if raw[4] == 0 {
		f, err := parseFrame(raw)
		if err != nil {
			return 0, 0, 0, err
		}
		return f.Code, f.Opaque, f.Flag, nil
	}
	h := raw[8:]
	if len(h) < 13 {
		return 0, 0, 0, fmt.Errorf("a binary header of %d bytes", len(h))
	}
	return int(int16(binary.BigEndian.Uint16(h))), int32(binary.BigEndian.Uint32(h[5:])), int(binary.BigEndian.Uint32(h[9:])), nil
}
