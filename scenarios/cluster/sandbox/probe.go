package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Abilities is what this machine can do for a sandbox. Each is nil or an *Impossible that says why not; without namespaces
// nothing else is known to be possible either, and has the same error.
type Abilities struct {
	Namespaces error // new namespaces, with /proc and a loopback interface
	Disks      error // lossy disks: /dev/fuse and a FUSE mount
	Network    error // a network between nodes: a TUN device in a namespace
}

// Probe returns nil when a sandbox with lossy disks works on this machine, else an *Impossible. It takes some 20 ms and leaves
// nothing behind. In a sandbox it takes for granted what that needed.
func Probe() error {
	if Inside() {
		return nil
	}
	found := Examine()
	if found.Namespaces != nil {
		return found.Namespaces
	}
	return found.Disks
}

// Examine tries in namespaces of its own, as a sandbox has them: /proc, the loopback interface, a FUSE mount, a TUN device. It takes
// some 20 ms and leaves nothing behind.
func Examine() Abilities {
	runtime.LockOSThread() // the probe dies with the thread that started it
	defer runtime.UnlockOSThread()
	cmd, ready, err := startEither(func(cmd *exec.Cmd) {
		cmd.Args = []string{"holdfast-probe"}
		cmd.Dir = "/"
	}, roleProbe)
	if err != nil {
		return Abilities{err, err, err}
	}
	defer ready.Close()
	var said trouble
	err = json.NewDecoder(ready).Decode(&said)
	if err = errors.Join(err, cmd.Wait()); err != nil {
		err = &Impossible{Reason: "the probe failed: " + err.Error()}
		return Abilities{err, err, err}
	}
	return said.abilities()
}

// Network returns nil when a packet switch works, else an *Impossible. In a sandbox it tries there.
func Network() error {
	if !Inside() {
		return Examine().Network
	}
	if err := tryTUN(); err != nil {
		return impossible(err.Error())
	}
	return nil
}

// trouble is what a probe reports: what failed, empty where nothing did.
type trouble struct{ Namespaces, Disks, Network string }

func (t trouble) abilities() Abilities {
	if t.Namespaces != "" {
		err := impossible(t.Namespaces)
		return Abilities{err, err, err}
	}
	var a Abilities
	if t.Disks != "" {
		a.Disks = impossible(t.Disks)
	}
	if t.Network != "" {
		a.Network = impossible(t.Network)
	}
	return a
}

// runProbe is PID 1 of a sandbox that tries what a real one needs.
func runProbe() int {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	var found trouble
	if found.Namespaces = text(furnish()); found.Namespaces == "" {
		found.Disks, found.Network = text(tryFUSE()), text(tryTUN())
	}
	if err := json.NewEncoder(os.NewFile(readyFD, "ready")).Encode(found); err != nil {
		return 1
	}
	return 0
}

// tryTUN makes a TUN device as the packet switch does, and closes it, upon which it is gone.
func tryTUN() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	defer unix.Close(fd)
	device, err := unix.NewIfreq("probe%d")
	if err != nil {
		return fmt.Errorf("make a TUN device: %w", err)
	}
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, device); err != nil {
		return fmt.Errorf("make a TUN device: %w", err)
	}
	return nil
}

// tryFUSE mounts a FUSE file system that nobody serves, over a directory that exists everywhere.
func tryFUSE() error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/fuse: %w", err)
	}
	defer unix.Close(fd) // ends the connection, so that unmounting does not wait for a server
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd, os.Geteuid(), os.Getegid())
	if err := unix.Mount("holdfast", "/proc/fs", "fuse.holdfast", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("mount FUSE: %w", err)
	}
	if err := unix.Unmount("/proc/fs", unix.MNT_DETACH|unix.MNT_FORCE); err != nil {
		return fmt.Errorf("unmount FUSE: %w", err)
	}
	return nil
}

// impossible adds to what failed inside what usually mends it.
func impossible(trouble string) error {
	e := &Impossible{Reason: trouble}
	switch {
	case strings.HasPrefix(trouble, "open /dev/fuse") && strings.Contains(trouble, "no such"):
		e.Fix = "modprobe fuse; in a container: --device /dev/fuse"
	case strings.HasPrefix(trouble, "open /dev/fuse"):
		e.Fix = "as root: chmod 0666 /dev/fuse; in a container: --device /dev/fuse"
	case strings.HasPrefix(trouble, "open /dev/net/tun") && strings.Contains(trouble, "no such"):
		e.Fix = "modprobe tun; in a container: --device /dev/net/tun"
	case strings.HasPrefix(trouble, "open /dev/net/tun"):
		e.Fix = "as root: chmod 0666 /dev/net/tun; in a container: --device /dev/net/tun"
	case strings.HasPrefix(trouble, "make a TUN device"):
		e.Fix = "in a container: --cap-add NET_ADMIN, or --privileged"
	case strings.HasPrefix(trouble, "mount /proc"):
		e.Fix = "in a container: --security-opt systempaths=unconfined, or --privileged"
	case strings.HasPrefix(trouble, "make mounts"), strings.HasPrefix(trouble, "mount FUSE"):
		e.Fix = "in a container: --cap-add SYS_ADMIN --security-opt apparmor=unconfined, or --privileged"
	}
	return e
}
