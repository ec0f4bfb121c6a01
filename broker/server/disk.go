package server

import (
	"runtime"
	"time"

	"holdfast/broker"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// disks are the ways to the disk threads. The node has one job of a kind outstanding, so that one place each never blocks.
type disks struct {
	write chan *store.WriteJob
	sync  chan *store.SyncJob
	aux   chan *store.AuxJob
	quit  chan struct{}
}

func (d *disks) init() {
	d.write = make(chan *store.WriteJob, 1)
	d.sync = make(chan *store.SyncJob, 1)
	d.aux = make(chan *store.AuxJob, 1)
	d.quit = make(chan struct{})
}

// close ends the threads once they have nothing to do.
func (d *disks) close() { close(d.quit) }

// writer is the thread that runs writes that no reader runs itself.
func (s *Server) writer() {
	st := s.newStepper()
	for {
		select {
		case job := <-s.disk.write:
			st.step(&broker.Event{Kind: broker.KindWritten, Err: job.Run()})
		case <-s.disk.quit:
			return
		}
	}
}

// syncer is the thread that runs syncs that no reader runs itself, beside the writes.
func (s *Server) syncer() {
	st := s.newStepper()
	for {
		select {
		case job := <-s.disk.sync:
			st.step(&broker.Event{Kind: broker.KindSynced, Err: job.Run()})
		case <-s.disk.quit:
			return
		}
	}
}

// auxer is the thread that runs the work behind the log.
func (s *Server) auxer() {
	st := s.newStepper()
	for {
		select {
		case job := <-s.disk.aux:
			expires := job.Expires()
			st.step(&broker.Event{Kind: broker.KindAuxDone, Err: job.Run()})
			if expires {
				runtime.GC() // files that were removed are closed, and their space is free, when nobody can read them any more
			}
		case <-s.disk.quit:
			return
		}
	}
}

// measureInterval is how often the disk is measured. Source: MessageStoreConfig.cleanResourceInterval (RocketMQ 5.5.0).
const measureInterval = 10 * time.Second

// caretaker measures the disk now and then. Without a directory there is none; time goes on all the same.
func (s *Server) caretaker() {
	st := s.newStepper()
	ticker := time.NewTicker(measureInterval)
	defer ticker.Stop()
	for {
		ev := broker.Event{Kind: broker.KindSpace}
		if s.cfg.StoreDir != "" && s.cfg.FS == nil {
			if space, err := measure(s.cfg.StoreDir); err == nil {
				ev.Space = space
			}
		}
		st.step(&ev)
		select {
		case <-ticker.C:
		case <-s.disk.quit:
			return
		}
	}
}

// truncate cuts the log; nothing else is outstanding meanwhile.
func (s *Server) truncate(job *store.TruncateJob) {
	err := job.Run()
	s.newStepper().step(&broker.Event{Kind: broker.KindTruncated, Err: err})
}

func (s *Server) load(job *store.LoadJob) {
	s.loads <- struct{}{}
	defer func() { <-s.loads }()
	job.Run() // the node learns the outcome from the job
	s.newStepper().step(&broker.Event{Kind: broker.KindLoaded, Load: job})
}

func (s *Server) save(save broker.Save) {
	var err error
	if save.Name == broker.ConfName {
		err = updateConf(s.cfg.ConfPath, string(save.Bytes))
	} else {
		err = vfs.WriteFile(s.fs, save.Name, save.Bytes)
	}
	s.newStepper().step(&broker.Event{Kind: broker.KindSaved, Name: save.Name, Err: err})
}
