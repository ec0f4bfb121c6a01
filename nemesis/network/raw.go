package network

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawIO reads or writes without telling the Go scheduler: only for calls that do not block.
func rawIO(call uintptr, fd int, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// signalEvent makes an eventfd readable.
func signalEvent(fd int) {
	one := [8]byte{1}
	_, _ = rawIO(unix.SYS_WRITE, fd, one[:]) // EAGAIN: it is readable already
}

// clearEvent makes it unreadable again.
func clearEvent(fd int) {
	var b [8]byte
	_, _ = rawIO(unix.SYS_READ, fd, b[:]) // EAGAIN: it was
}

// sleepUntilEvent returns when fd is readable or after d; d < 0 waits for ever. Go's own timers are rounded up to 1 ms.
func sleepUntilEvent(fd int, d time.Duration) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	var timeout *unix.Timespec
	if d >= 0 {
		ts := unix.NsecToTimespec(d.Nanoseconds())
		timeout = &ts
	}
	if n, err := unix.Ppoll(fds, timeout, nil); err == nil && n > 0 {
		clearEvent(fd)
	}
}

// preciseThread has the kernel wake the calling thread when it asked for, not up to 50 us later.
func preciseThread() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it delays are a little longer, which tests tolerate
}
