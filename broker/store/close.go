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

// closeClean writes the last checkpoint.
func (s *Store) closeClean() error {
	if s.expire.to != 0 {
		s.prepareExpiry()
		err := s.aux.Run()
		if s.AuxDone(s.marks.Gen, err); err != nil {
			return err
		}
	}
	s.aux.keySync = true
	s.prepareAux(true, true)
	s.aux.slot.clean = s.bad == nil
	err := s.aux.Run()
	s.AuxDone(s.marks.Gen, err)
	if err != nil {
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
	for _, q := range s.list {
		if q.file != nil {
			q.file.f.Close()
		}
	}
	for _, f := range s.aux.unsynced {
		if f.retired {
			f.f.Close()
		}
	}
	s.aux.keyer.close()
	if s.aux.file != nil {
		s.aux.file.Close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
	s.fail(errors.New("closed"))
}
