//go:build unix

package server

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// tryWriter writes to a socket without ever waiting.
type tryWriter struct{ raw syscall.RawConn }

func tryWriterOf(nc net.Conn) tryWriter { return tryWriter{rawOf(nc)} }

// rawOf returns the socket of nc, nil when it is none.
func rawOf(nc net.Conn) syscall.RawConn {
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// readNow reads what is there; again says that nothing is yet.
func readNow(fd uintptr, b []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, errors.Is(err, syscall.EAGAIN), err
		case n == 0:
			err = io.EOF
		}
		return n, false, err
	}
}

// try writes what the kernel takes at once, which may be nothing.
func (t tryWriter) try(b []byte) (n int, err error) {
	if t.raw == nil {
		return 0, nil
	}
	var werr error
	err = t.raw.Write(func(fd uintptr) bool {
		n, werr = syscall.Write(int(fd), b)
		return true
	})
	if n < 0 {
		n = 0
	}
	if errors.Is(werr, syscall.EAGAIN) || errors.Is(werr, syscall.EINTR) {
		werr = nil
	}
	if err == nil {
		err = werr
	}
	return n, err
}
