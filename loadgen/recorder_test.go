package loadgen

import (
	"testing"

	"holdfast/checker/history"
)

// newRecorder begins a history in dir.
func newRecorder(t testing.TB, dir string) *history.Recorder {
	t.Helper()
	rec, err := history.Create(dir, history.Header{Name: "test", Masters: map[string]string{"a": "a-0"}}, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// eventsOf returns the events of a closed history by time; it must obey the rules of its format.
func eventsOf(t testing.TB, dir string) []history.Event {
	t.Helper()
	if _, err := history.Open(dir); err != nil {
		t.Fatal(err)
	}
	var events []history.Event
	walk(t, dir, func(e *history.Event) {
		copied := *e
		copied.Msgs = append([]history.Msg(nil), e.Msgs...)
		events = append(events, copied)
	})
	return events
}

// walk calls yield for every event of a history, which may still be written.
func walk(t testing.TB, dir string, yield func(e *history.Event)) {
	t.Helper()
	err := history.Walk(dir, func(history.Header) error { return nil }, func(_ func(history.Sym) string, e *history.Event) error {
		yield(e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
