//go:build !unix

package server

import "net"

// tryWriter writes nothing at once where sockets cannot be asked to.
type tryWriter struct{}

func tryWriterOf(net.Conn) tryWriter { return tryWriter{} }

func (tryWriter) try([]byte) (int, error) { return 0, nil }
