package server

import (
	"errors"
	"net"
	"syscall"

	"holdfast/broker/vfs"
)

// fileSender sends from files of the operating system to one socket without a copy through the process.
type fileSender struct{ raw syscall.RawConn }

func fileSenderOf(nc net.Conn) fileSender { return fileSender{rawOf(nc)} }

// possible reports whether both ends are the kernel's.
func (s fileSender) possible(f vfs.File) bool {
	_, ok := f.(syscall.Conn)
	return ok && s.raw != nil
}

// send sends up to length bytes of f from offset on, once the socket takes some, and returns how many; 0 at the end of the file. It waits no longer
// than the socket's write deadline.
func (s fileSender) send(f vfs.File, offset int64, length int) (n int, err error) {
	file, err := f.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var serr error
	err = s.raw.Write(func(socket uintptr) bool {
		cerr := file.Control(func(from uintptr) {
			for {
				at := offset
				n, serr = syscall.Sendfile(int(socket), int(from), &at, length)
				if !errors.Is(serr, syscall.EINTR) {
					return
				}
			}
		})
		if serr == nil {
			serr = cerr
		}
		return !errors.Is(serr, syscall.EAGAIN)
	})
	if err == nil {
		err = serr
	}
	return max(n, 0), err
}
