//go:build !linux

package rocketmq

import (
	"time"

	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq/client"
)

// session needs ppoll and non-blocking sockets of Linux; elsewhere it never becomes connected.
type session struct {
	c     *client.Client
	clock func() time.Duration
}

func newSession(c *client.Client, clock func() time.Duration) *session {
	return &session{c: c, clock: clock}
}

func (s *session) Now() time.Duration { return s.clock() }

func (s *session) Wait(until time.Duration, _ []driver.Completion) int {
	time.Sleep(until - s.clock())
	return 0
}

func (s *session) Instant() time.Duration { return s.clock() }

func (s *session) SpinFor(time.Duration) {}

func (s *session) Sent(int) {}

func (s *session) Close() error { return nil }
