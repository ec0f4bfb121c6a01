package broker

import "time"

// stats are counters since the start.
type stats struct {
	boot      int64 // Unix ms
	puts      speed // messages stored
	bytes     uint64
	gets      speed // messages handed out
	found     speed // pulls that found some
	missed    speed // pulls that found none
	syncs     uint64
	syncTime  time.Duration
	syncBegun time.Duration

	// What puts and gets were when this day and the one before began. Days are those of UTC, whatever the machine's time zone.
	day                      int64
	putsToday, putsYesterday uint64
	getsToday, getsYesterday uint64
}

func newStats() stats {
	return stats{puts: newSpeed(), gets: newSpeed(), found: newSpeed(), missed: newSpeed()}
}

// dayMS is a day in ms.
const dayMS = 24 * 60 * 60 * 1000

// newDay notes the counts when a day has begun since the last call. Source: BrokerStats.record (RocketMQ 5.3.3).
func (s *stats) newDay(wall int64) {
	day := wall / dayMS
	if s.day != 0 && day > s.day {
		s.putsYesterday, s.getsYesterday = s.putsToday, s.getsToday
		if day > s.day+1 { // nothing was counted in between
			s.putsYesterday, s.getsYesterday = s.puts.total, s.gets.total
		}
		s.putsToday, s.getsToday = s.puts.total, s.gets.total
	}
	s.day = max(s.day, day)
}
