//go:build !unix

package server

import "errors"

func openSkewPage(string) (*skewPage, error) {
	return nil, errors.New("no shared memory on this system: the wall clock cannot be skewed")
}
