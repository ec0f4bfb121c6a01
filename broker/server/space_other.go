//go:build !unix

package server

import "errors"

// usedBytes errs: how full a disk is is not known here.
func usedBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
