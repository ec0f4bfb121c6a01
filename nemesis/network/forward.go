package network

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// carry is a device's reader.
func (s *packetSwitch) carry(h *host, d *device) {
	runtime.LockOSThread() // one thread a device, so that none waits for another's to be woken
	defer close(d.done)
	p := s.pool.get(frameMax)
	for {
		n, errno := d.readNow(p.mem)
		if errno == unix.EAGAIN {
			if !d.wait() {
				return
			}
			continue
		}
		if errno != 0 { // the device was deleted within its namespace
			return
		}
		p.data = p.mem[:n]
		if s.forward(h, p) {
			p = s.pool.get(frameMax)
		}
	}
}

// forward sends a packet on its way. kept: the packet's memory is the queue's now.
func (s *packetSwitch) forward(from *host, p *packet) (kept bool) {
	s.meter.packets.Add(1)
	s.meter.bytes.Add(int64(p.size()))
	const header, destination = vnetHeader + 20, vnetHeader + 16
	if len(p.data) < header || p.data[vnetHeader]>>4 != 4 {
		s.meter.foreign.Add(1)
		return false
	}
	to := (*s.routes.Load())[[4]byte(p.data[destination:header])]
	if to == nil || to == from {
		s.meter.foreign.Add(1)
		return false
	}
	if s.dark(from, to) {
		return false
	}
	l := (*from.lanes.Load())[to]
	if !l.direct.Load() {
		return s.judge(l, p)
	}
	s.deliver(to, p)
	return false
}

// dark reports, and counts, that a packet from one host to another is lost because one of them has no power.
func (s *packetSwitch) dark(from, to *host) bool {
	if s.line == nil || !s.line.AnyOff(from.outlet|to.outlet) {
		return false
	}
	s.meter.powerDrops.Add(1)
	return true
}

// judge has the rules decide about a packet.
func (s *packetSwitch) judge(l *lane, p *packet) (kept bool) {
	s.mu.Lock()
	now := s.now()
	v := l.flow.decide(now, p.size())
	if v.drop {
		s.mu.Unlock()
		return false
	}
	v.wait += s.half
	if !v.hold && v.wait == 0 && l.flow.waiting == 0 {
		l.flow.straight()
		s.mu.Unlock()
		for range v.copies {
			s.deliver(l.to, p)
		}
		return false
	}
	k := s.pool.keep(p)
	if !s.queue.add(now, l.flow, v, k) {
		s.meter.queueDrops.Add(1)
		if k != p {
			s.pool.put(k)
		}
		s.mu.Unlock()
		return false
	}
	s.wake()
	s.mu.Unlock()
	return k == p
}

// wake has the dispatcher look again when something is due before it would. s.mu is held.
func (s *packetSwitch) wake() {
	if due, ok := s.queue.next(); ok && due < s.sleep {
		s.sleep = due
		signalEvent(s.alarm)
	}
}

// deliver hands a packet to a host's device.
func (s *packetSwitch) deliver(to *host, p *packet) {
	to.gate.RLock()
	defer to.gate.RUnlock()
	if to.device == nil {
		s.meter.unplugged.Add(1)
		return
	}
	if errno := to.device.writeNow(p.data); errno != 0 {
		s.meter.refused.Add(1)
	}
}

// dispatch sends the packets of the queue when they are due, until the process ends.
func (s *packetSwitch) dispatch() {
	runtime.LockOSThread()
	preciseThread()
	batch, lanes := make([]*parcel, 0, 64), make([]*lane, 64)
	for {
		s.mu.Lock()
		batch = s.queue.pop(s.now(), batch[:0])
		for i, e := range batch {
			lanes[i] = s.lanes[e.flow]
		}
		wait := s.pause(len(batch) > 0)
		s.mu.Unlock()
		if len(batch) == 0 {
			if wait != 0 {
				sleepUntilEvent(s.alarm, wait)
			}
			continue
		}
		for i, e := range batch {
			s.send(lanes[i], e)
		}
		s.mu.Lock()
		for i, e := range batch {
			e.done()
			if e.flow.waiting == 0 && lanes[i] != nil {
				s.straighten(lanes[i])
			}
			s.pool.put(e.packet)
		}
		s.mu.Unlock()
	}
}

// pause notes until when the dispatcher will not look, and returns how long that is, -1 for ever. s.mu is held.
func (s *packetSwitch) pause(busy bool) time.Duration {
	s.sleep = 0 // it looks again by itself
	if busy {
		return 0
	}
	due, ok := s.queue.next()
	if !ok {
		s.sleep = forever
		return -1
	}
	wait := max(0, due-s.now())
	if wait > 0 {
		s.sleep = due
	}
	return wait
}

// send delivers a parcel, unless its host was removed (no lane) or a power cut came in between.
func (s *packetSwitch) send(l *lane, e *parcel) {
	if l == nil || s.dark(l.from, l.to) {
		return
	}
	for range e.copies {
		s.deliver(l.to, e.packet)
	}
}
