//go:build !unix

package server

import (
	"errors"

	"holdfast/broker"
)

// measure errs as usedBytes does.
func measure(string) (broker.Space, error) { return broker.Space{}, errors.ErrUnsupported }

// usedBytes errs: how full a disk is is not known here.
func usedBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
