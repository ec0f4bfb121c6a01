package store

import (
	"sync"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// driver runs the jobs of a store on a real disk in goroutines of their own, as a server does: one lock around the store,
// none around jobs and ranges.
type driver struct {
	mu sync.Mutex
	s  *Store
	t  *testing.T
}

// loop runs jobs of one kind until stop is closed and there is none: take and done are called with the lock.
func loop[J any](d *driver, stop chan struct{}, take func() (J, bool), run func(J) error, done func(J, error)) {
	for {
		d.mu.Lock()
		j, ok := take()
		d.mu.Unlock()
		if !ok {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Microsecond):
			}
			continue
		}
		err := run(j)
		d.mu.Lock()
		done(j, err)
		d.mu.Unlock()
		if err != nil {
			d.t.Error(err)
			return
		}
	}
}

func (d *driver) start(stop chan struct{}, wg *sync.WaitGroup) {
	wg.Go(func() {
		loop(d, stop, func() (*WriteJob, bool) { j := d.s.TakeWrite(); return j, j != nil },
			(*WriteJob).Run, func(j *WriteJob, err error) { d.s.Written(j.Gen, j.Upto, err) })
	})
	wg.Go(func() {
		loop(d, stop, func() (*SyncJob, bool) { j := d.s.TakeSync(); return j, j != nil },
			(*SyncJob).Run, func(j *SyncJob, err error) { d.s.Synced(j.Gen, j.Upto, err) })
	})
	began := time.Now()
	wg.Go(func() {
		loop(d, stop, func() (*AuxJob, bool) { j := d.s.TakeAux(time.Since(began)); return j, j != nil },
			(*AuxJob).Run, func(j *AuxJob, err error) { d.s.AuxDone(j.Gen, err) })
	})
}

// consume reads a queue from its beginning until it has n messages.
func (d *driver) consume(topic string, n int) {
	next := int64(0)
	var buf []byte
	for got := 0; got < n; {
		d.mu.Lock()
		q, err := d.s.Queue(topic, 0)
		if err != nil {
			d.t.Error(err)
		}
		ranges, found := d.s.Lookup(q, next, Want{Count: 32, Bytes: 1 << 20, Limit: d.s.Marks().Written}, nil)
		d.mu.Unlock()
		if found.Load != nil {
			err := found.Load.Run()
			d.mu.Lock()
			d.s.Loaded(found.Load)
			d.mu.Unlock()
			if err != nil {
				d.t.Error(err)
				return
			}
			continue
		}
		buf = buf[:0]
		for _, r := range ranges {
			if buf, err = r.AppendTo(buf); err != nil {
				d.t.Error(err)
				return
			}
		}
		for b := buf; len(b) > 0; got++ {
			m, size, err := message.Decode(b, true)
			if err != nil || m.QueueOffset != int64(got) {
				d.t.Errorf("message %d: queue offset %d, %v", got, m.QueueOffset, err)
				return
			}
			b = b[size:]
		}
		next = found.Next
	}
}

// Jobs, readers and appends side by side; meant for the race detector.
func TestJobsRunBesideTheStore(t *testing.T) {
	cfg := Config{SegmentBytes: 64 << 10, QueueFileBytes: 2000, ChunkBytes: 4096, HotBytes: 8 << 10, HotUnits: 16,
		CheckpointEvery: time.Millisecond, QueueSyncEvery: 3 * time.Millisecond}
	dir := t.TempDir()
	s, _ := mustOpen(t, vfs.OS(dir), cfg)
	d := &driver{s: s, t: t}
	stop := make(chan struct{})
	var jobs, clients sync.WaitGroup
	d.start(stop, &jobs)
	const n = 2000
	for _, topic := range []string{"A", "B"} {
		clients.Go(func() { d.consume(topic, n) })
		clients.Go(func() {
			body := make([]byte, 50)
			for range n {
				r := record(topic, 0, body, "TAGS\x01a\x02")
				d.mu.Lock()
				q, err := d.s.Queue(topic, 0)
				if err == nil {
					_, _, err = d.s.Append(q, r, 1, 1)
				}
				d.mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	jobs.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sum, err := Dump(vfs.OS(dir))
	if err != nil || len(sum.Problems) > 0 || sum.CommitLog.Records != 2*n || sum.Queues[0].Units != n || sum.Abort {
		t.Errorf("%+v, %v", sum, err)
	}
}
