package server

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"
)

// A nemesis skews the wall clock of a node by a page of memory, a file that both have mapped (Config.ClockPage). Nothing but
// broker.Instant.Wall depends on it: Instant.Mono and every timer of the driver go on as they are. Without a page nothing is read.
//
// Words of 8 bytes, in the machine's byte order. What the nemesis writes:
//
//	0     skewMagic
//	1     n, how many settings there were; the present one is in slot n%2, so that a nemesis that dies while it writes leaves
//	      the other, whole one
//	2, 5  slots: since (Unix ns), the skew at that time (ns), the drift from then on (parts per million, a float64)
//
// What the driver writes, in a cache line of its own:
//
//	8     the setting n that the last reading was under
//	9     the skew of the last instant that the node was given: its wall clock less the real one (ms)
//	10    readings under that setting
type skewPage [skewWords]atomic.Uint64

const (
	skewMagic    = 0x314b434f4c434648 // "HFCLOCK1" on a little-endian machine
	skewWords    = 16
	skewSetting  = 1
	skewSlots    = 2
	skewSlotSize = 3
	skewSeen     = 8
	skewLast     = 9
	skewReadings = 10
)

var errNoSkewPage = errors.New("not a page that skews a clock")

// skewPageOf takes mapped memory for a page.
func skewPageOf(mem []byte) (*skewPage, error) {
	if len(mem) < skewWords*8 {
		return nil, fmt.Errorf("%w: %d bytes", errNoSkewPage, len(mem))
	}
	p := (*skewPage)(unsafe.Pointer(&mem[0])) // a mapping begins at a page, so every word is aligned
	if p[0].Load() != skewMagic {
		return nil, errNoSkewPage
	}
	return p, nil
}

// wall returns the node's wall clock (Unix ms) when the real one says so many ns. One goroutine at a time calls it.
func (p *skewPage) wall(real int64) int64 {
	setting := p[skewSetting].Load()
	var since, base int64
	var ppm float64
	for {
		slot := skewSlots + setting%2*skewSlotSize
		since, base, ppm = int64(p[slot].Load()), int64(p[slot+1].Load()), math.Float64frombits(p[slot+2].Load())
		again := p[skewSetting].Load()
		if again == setting {
			break
		}
		setting = again // the slot may have been written meanwhile
	}
	skew := base
	if ppm != 0 {
		skew += int64(float64(real-since) * ppm / 1e6)
	}
	wall := floorMilli(real + skew)
	p.note(setting, wall-floorMilli(real))
	return wall
}

// note tells the nemesis what came of its setting. Most readings change nothing but their number.
func (p *skewPage) note(setting uint64, skew int64) {
	if p[skewLast].Load() != uint64(skew) {
		p[skewLast].Store(uint64(skew))
	}
	if p[skewSeen].Load() != setting {
		p[skewReadings].Store(0)
		p[skewSeen].Store(setting)
	}
	p[skewReadings].Add(1)
}

// floorMilli turns ns into ms, downwards also before 1970.
func floorMilli(ns int64) int64 {
	const milli = 1_000_000
	ms := ns / milli
	if ns%milli < 0 {
		ms--
	}
	return ms
}
