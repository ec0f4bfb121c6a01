package store

import "errors"

// Close brings everything to disk and leaves the directory for others; no job may be outstanding. The store is of no use
// afterwards. It returns the first error; what that leaves undone the next Open mends.
func (s *Store) Close() error {
	err := s.err
	for err == nil {
		j := s.TakeWrite()
		if j == nil {
			break
		}
		err = j.Run()
		s.Written(j.Gen, j.Upto, err)
	}
	if j := s.TakeSync(); err == nil && j != nil {
		err = j.Run()
		s.Synced(j.Gen, j.Upto, err)
	}
	if err == nil {
		err = s.closeClean()
	}
	s.closeFiles()
	return err
}

// closeClean writes the last checkpoint. Where too many queues wait it leaves their units to the next Open, and the store as one that was not
// closed: Apache's broker then looks for them in the log, too.
func (s *Store) closeClean() error {
	if s.expire.to != 0 {
		s.prepareExpiry()
		if err := s.finishAux(); err != nil {
			return err
		}
	}
	whole, most := true, len(s.dirty)
	if most > s.cfg.AuxQueues {
		whole, most = false, 0
	}
	s.aux.keySync = true
	s.prepareAux(true, true, most)
	s.aux.slot.clean = whole && s.bad == nil
	if err := s.finishAux(); err != nil || !whole {
		return err
	}
	if err := s.fsys.Remove(abortName); err != nil {
		return err
	}
	return s.fsys.SyncDir(".")
}

// Abandon leaves the directory for others without bringing anything to disk, as the end of the process would.
func (s *Store) Abandon() { s.closeFiles() }

func (s *Store) closeFiles() {
	for _, g := range s.segs {
		if g.file != nil {
			g.file.Close()
		}
	}
	s.aux.drop(func(*queueFile) bool { return true })
	s.aux.keyer.close()
	if s.aux.file != nil {
		s.aux.file.Close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
	s.fail(errors.New("closed"))
}
