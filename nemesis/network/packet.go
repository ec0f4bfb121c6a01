package network

import "sync"

// packet is the memory of one packet with its virtio header before it.
type packet struct {
	data []byte
	mem  []byte
}

// size is the length of the IP packet in bytes.
func (p *packet) size() int { return len(p.data) - vnetHeader }

func (p *packet) memory() int64 { return int64(len(p.mem)) }

// classes are the sizes of packet memory: small ones are for what waits, so that a queue of small packets is small.
var classes = [...]int{512, 2048, 16 << 10, frameMax}

// packets recycles the memory of packets, by class.
type packets struct{ pools [len(classes)]sync.Pool }

// get returns a packet with room for n bytes, n <= frameMax.
func (ps *packets) get(n int) *packet {
	class := 0
	for classes[class] < n {
		class++
	}
	if p, ok := ps.pools[class].Get().(*packet); ok {
		return p
	}
	return &packet{mem: make([]byte, classes[class])}
}

// put takes a packet back.
func (ps *packets) put(p *packet) {
	class := 0
	for classes[class] < len(p.mem) {
		class++
	}
	p.data = nil
	ps.pools[class].Put(p)
}

// keep returns a packet that may be kept: p itself when it is nearly full, else a copy in memory of fitting size.
func (ps *packets) keep(p *packet) *packet {
	if len(p.data) > classes[len(classes)-2] {
		return p
	}
	c := ps.get(len(p.data))
	c.data = c.mem[:copy(c.mem, p.data)]
	return c
}
