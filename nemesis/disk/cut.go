package disk

import (
	"errors"
	"fmt"

	"holdfast/nemesis/power"
)

// cut cuts the power of the nodes at one instant: no change is half done then on any of them.
func (s *server) cut(nodes []string) (int64, error) {
	vs, err := s.named(nodes)
	if err != nil {
		return 0, err
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	for _, v := range vs {
		if v.served == nil || v.cut {
			return 0, fmt.Errorf("node %q is not running on its disk", v.node)
		}
	}
	at := monotonic()
	if s.line != nil {
		s.line.Cut(mask(vs)) // the packet switch stops with this store, the disks have stopped with the gate
	}
	for _, v := range vs {
		v.cut, v.cutAt = true, at
		close(v.isCut)
	}
	return at, nil
}

// mask returns the outlets of the volumes.
func mask(vs []*volume) (m uint64) {
	for _, v := range vs {
		if v.outlet >= 0 {
			m |= power.Mask(v.outlet)
		}
	}
	return m
}

// restore gives the nodes' outlets their power back.
func (s *server) restore(nodes []string) error {
	vs, err := s.named(nodes)
	if err != nil {
		return err
	}
	if s.line == nil {
		return errors.New("the disk process has no power line")
	}
	s.line.Restore(mask(vs))
	return nil
}

func (s *server) release(nodes []string) error {
	vs, err := s.named(nodes)
	if err != nil {
		return err
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	for _, v := range vs {
		if !v.cut || isClosed(v.released) {
			return fmt.Errorf("node %q is not held by a cut", v.node)
		}
		close(v.released)
	}
	return nil
}
