package cluster

import (
	"archive/zip"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestSlaveBelowTheLog: what a slave gets that ends below the begin of its master's log, of either broker, over one store: heartbeats for the
// offset that it told, and never a message. A slave with nothing gets the last file.
func TestSlaveBelowTheLog(t *testing.T) {
	for _, name := range []string{Reference, RocketMQ} {
		t.Run(name, func(t *testing.T) {
			sys := apache(t, "5.5.0")
			dir := filepath.Join(t.TempDir(), "store")
			z, err := zip.OpenReader("../../broker/store/testdata/rocketmq-5.5.0-killed.zip")
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			if err := os.CopyFS(dir, z); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"00000000000000000000", "00000000000000131072"} {
				if err := os.Remove(filepath.Join(dir, "commitlog", file)); err != nil {
					t.Fatal(err)
				}
			}
			p := &program{name: name, sys: sys, t: t}
			p.start(dir)
			const below = 4000
			for _, at := range p.chunks(below, 5) {
				if at != (chunk{below, 0}) {
					t.Errorf("a slave that ends at %d got %d bytes at %d", below, at.size, at.offset)
				}
			}
			if first := p.chunks(0, 1)[0]; first.offset != 6*131072 || first.size == 0 {
				t.Errorf("a slave with nothing got %d bytes at %d, want the file that begins at %d", first.size, first.offset, 6*131072)
			}
		})
	}
}

// chunk is the header of what a master sends.
type chunk struct {
	offset int64
	size   int32
}

// chunks connects as a slave whose log ends there, and returns the first n chunks.
func (p *program) chunks(end int64, n int) (list []chunk) {
	p.t.Helper()
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(number+1)))
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(binary.BigEndian.AppendUint64(nil, uint64(end))); err != nil {
		p.t.Fatal(err)
	}
	for range n {
		var head [12]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			p.t.Fatalf("%s, after %d chunks: %v", p.name, len(list), err)
		}
		one := chunk{int64(binary.BigEndian.Uint64(head[:])), int32(binary.BigEndian.Uint32(head[8:]))}
		if _, err := io.CopyN(io.Discard, c, int64(one.size)); err != nil {
			p.t.Fatal(err)
		}
		list = append(list, one)
	}
	return list
}
