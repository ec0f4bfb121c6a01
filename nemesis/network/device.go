package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Offloads of a TUN device with a virtio header. Source: linux/if_tun.h.
const (
	offloadChecksum = 0x01        // TUN_F_CSUM: checksums may be left partial
	offloadTCP      = 0x02 | 0x04 // TUN_F_TSO4, TUN_F_TSO6: TCP segments of up to 64 KiB pass whole
	offloadECN      = 0x08        // TUN_F_TSO_ECN
	offloadUDP      = 0x20 | 0x40 // TUN_F_USO4, TUN_F_USO6 (Linux 6.2)
)

const (
	vnetHeader  = 10    // bytes of the virtio header before each packet
	mtu         = 1500  // as on a wire; segments pass whole all the same
	queuePacket = 4096  // packets that a device holds for the switch; more are lost, as on a busy card
	frameMax    = 65546 // bytes of the largest IPv4 packet with its virtio header
)

// device is the switch's end of one TUN device.
type device struct {
	fd   int
	wake int // eventfd: readable when the reader shall end
	done chan struct{}
}

// openDevice makes a TUN device in the network namespace of the calling thread and gives it an address, the route to the
// address's subnet, and its flags. pattern is its name, where %d stands for the first free number.
func openDevice(pattern string, addr netip.Prefix) (*device, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w%s", err, tunFix(err))
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	d := &device{fd: fd, wake: wake, done: make(chan struct{})}
	ifr, err := unix.NewIfreq(pattern)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		d.close()
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	if err := errors.Join(d.setWhole(true), configure(ifr.Name(), addr)); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// tunFix says what usually mends that the TUN device cannot be opened.
func tunFix(err error) string {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV):
		return " (modprobe tun; in a container: --device /dev/net/tun)"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return " (as root: chmod 0666 /dev/net/tun; in a container: --device /dev/net/tun)"
	}
	return ""
}

// setWhole says whether segments larger than the MTU pass whole (the kernel cuts them up only for whoever cannot take
// them) or one by one, so that a share of packets is one of what a wire would carry.
func (d *device) setWhole(whole bool) error {
	if !whole {
		return offload(d.fd, offloadChecksum)
	}
	const most = offloadChecksum | offloadTCP | offloadECN
	if err := offload(d.fd, most|offloadUDP); err != nil {
		return offload(d.fd, most)
	}
	return nil
}

func offload(fd int, features uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETOFFLOAD, features); errno != 0 {
		return fmt.Errorf("TUN offload %#x: %w", features, errno)
	}
	return nil
}

// configure brings a device of the calling thread's namespace up.
func configure(name string, addr netip.Prefix) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	defer unix.Close(s)
	set := func(request uint, prepare func(*unix.Ifreq) error) {
		if err != nil {
			return
		}
		var ifr *unix.Ifreq
		if ifr, err = unix.NewIfreq(name); err != nil {
			return
		}
		if err = prepare(ifr); err == nil {
			err = unix.IoctlIfreq(s, request, ifr)
		}
	}
	inet := func(ip []byte) func(*unix.Ifreq) error {
		return func(ifr *unix.Ifreq) error { return ifr.SetInet4Addr(ip) }
	}
	set(unix.SIOCSIFMTU, func(ifr *unix.Ifreq) error { ifr.SetUint32(mtu); return nil })
	set(unix.SIOCSIFADDR, inet(addr.Addr().AsSlice()))
	set(unix.SIOCSIFNETMASK, inet(net.CIDRMask(addr.Bits(), 32)))
	set(unix.SIOCSIFFLAGS, func(ifr *unix.Ifreq) error { ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	if err == nil {
		err = setQueueLength(name, queuePacket)
	}
	if err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	return nil
}

// newNamespace makes a network namespace with lo up and one TUN device, and leaves the calling thread in its own.
func newNamespace(addr netip.Prefix) (d *device, netns *os.File, err error) {
	runtime.LockOSThread()
	const self = "/proc/thread-self/ns/net"
	home, err := os.Open(self)
	if err != nil {
		return nil, nil, fmt.Errorf("new network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, nil, fmt.Errorf("new network namespace: %w", err)
	}
	defer func() {
		if e := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); e != nil {
			err = errors.Join(err, fmt.Errorf("return from a network namespace: %w", e)) // the thread stays locked and ends with its goroutine
			return
		}
		runtime.UnlockOSThread()
	}()
	if netns, err = os.Open(self); err != nil {
		return nil, nil, fmt.Errorf("new network namespace: %w", err)
	}
	if err = loopbackUp(); err == nil {
		d, err = openDevice("hf%d", addr)
	}
	if err != nil {
		netns.Close()
		return nil, nil, err
	}
	return d, netns, nil
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err == nil {
		lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		err = unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
	}
	if err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

// readNow reads a packet into b: EAGAIN when none waits. A raw system call, since it never blocks and the scheduler's
// bookkeeping around each would cost more than the call.
func (d *device) readNow(b []byte) (int, unix.Errno) { return rawIO(unix.SYS_READ, d.fd, b) }

// writeNow hands a packet to the kernel, which processes it before the call returns.
func (d *device) writeNow(b []byte) unix.Errno {
	_, errno := rawIO(unix.SYS_WRITE, d.fd, b)
	return errno
}

// wait blocks until a packet waits (true) or stop was called (false).
func (d *device) wait() bool {
	fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}, {Fd: int32(d.wake), Events: unix.POLLIN}}
	for {
		if _, err := unix.Ppoll(fds, nil, nil); err != nil && err != unix.EINTR {
			return false
		}
		if fds[1].Revents != 0 {
			return false
		}
		if fds[0].Revents != 0 {
			return true
		}
	}
}

// stop ends the reader and waits for it. The device is then closed by close.
func (d *device) stop() {
	signalEvent(d.wake)
	<-d.done
}

// close gives the device up: it is not persistent, so it disappears from its namespace.
func (d *device) close() {
	unix.Close(d.fd)
	unix.Close(d.wake)
}
