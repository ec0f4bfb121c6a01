package network

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// What the client orders about rules and queued packets.

// set puts a rule in force.
func (s *packetSwitch) set(r Rule) (RuleID, error) {
	if err := r.Validate(); err != nil {
		return 0, err
	}
	for _, name := range slices.Concat(r.From, r.To) {
		if _, err := s.named(name); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	id := s.table.set(r)
	for _, l := range s.lanes {
		s.straighten(l)
	}
	s.mu.Unlock()
	return id, s.resegment()
}

// clear ends a rule and lets the packets go that it held.
func (s *packetSwitch) clear(id RuleID) (*Counters, error) {
	s.mu.Lock()
	r := s.table.clear(id)
	if r == nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("there is no rule %d", id)
	}
	now := s.now()
	for _, l := range s.lanes {
		s.queue.release(now, l.flow)
		s.straighten(l)
	}
	s.wake()
	counters := r.counters
	s.mu.Unlock()
	return &counters, s.resegment()
}

func (s *packetSwitch) counters(id RuleID) (*Counters, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.table.rule(id)
	if r == nil {
		return nil, fmt.Errorf("there is no rule %d", id)
	}
	counters := r.counters
	return &counters, nil
}

// resegment has every device pass segments whole or one by one, as the rules want it.
func (s *packetSwitch) resegment() error {
	var errs []error
	for _, h := range s.hosts {
		s.mu.Lock()
		single := s.table.single(h.name)
		s.mu.Unlock()
		if single == h.single {
			continue
		}
		h.single = single
		h.gate.RLock()
		if h.device != nil {
			errs = append(errs, h.device.setWhole(!single))
		}
		h.gate.RUnlock()
	}
	return errors.Join(errs...)
}

// purge forgets the packets in the queue from and to a host, and returns how many they were.
func (s *packetSwitch) purge(h *host) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := s.queue.discard(h.name, s.table.flows)
	for _, p := range gone {
		s.pool.put(p)
	}
	for _, l := range s.lanes {
		s.straighten(l)
	}
	return int64(len(gone))
}

// discard throws away what is queued for a host or from it, in its device, too.
func (s *packetSwitch) discard(name string) (int64, error) {
	h, err := s.named(name)
	if err != nil {
		return 0, err
	}
	n := s.purge(h)
	h.gate.RLock()
	defer h.gate.RUnlock()
	if h.device == nil {
		return n, nil
	}
	p := s.pool.get(frameMax)
	defer s.pool.put(p)
	for range queuePacket { // as many as the device can hold: a host that goes on sending does not keep us here
		size, errno := h.device.readNow(p.mem)
		if errno == unix.EAGAIN {
			break
		}
		if errno != 0 {
			return n, fmt.Errorf("read the device of host %q: %w", name, errno)
		}
		if ip := p.mem[vnetHeader:size]; len(ip) > 0 && ip[0]>>4 == 4 {
			n++
		}
	}
	return n, nil
}
