//go:build !unix

package server

import (
	"net"
	"syscall"
)

// rawOf returns nil: a reader waits with a desk in its hands.
func rawOf(net.Conn) syscall.RawConn { return nil }

func readNow(uintptr, []byte) (n int, again bool, err error) { return 0, false, nil }

// tryWriter writes nothing at once where sockets cannot be asked to.
type tryWriter struct{}

func tryWriterOf(net.Conn) tryWriter { return tryWriter{} }

func (tryWriter) try([]byte) (int, error) { return 0, nil }
