package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe returns nil when a sandbox with lossy disks works on this machine, else an *Impossible. It tries: new namespaces,
// /proc, the loopback interface, /dev/fuse and a FUSE mount. It takes some 20 ms and leaves nothing behind.
func Probe() error {
	if Inside() {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, ready, err := startEither(func(cmd *exec.Cmd) {
		cmd.Args = []string{"holdfast-probe"}
		cmd.Dir = "/"
	}, roleProbe)
	if err != nil {
		return err
	}
	defer ready.Close()
	trouble, err := io.ReadAll(ready)
	if waited := cmd.Wait(); waited != nil && len(trouble) == 0 {
		err = errors.Join(err, waited)
	}
	if err != nil {
		return &Impossible{Reason: "the probe failed: " + err.Error()}
	}
	if len(trouble) > 0 {
		return impossible(string(trouble))
	}
	return nil
}

// runProbe is PID 1 of a sandbox that tries what a real one needs.
func runProbe() int {
	ready := os.NewFile(readyFD, "ready")
	err := furnish()
	if err == nil {
		err = tryFUSE()
	}
	if err != nil {
		fmt.Fprint(ready, err)
		return 1
	}
	return 0
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
	case strings.HasPrefix(trouble, "mount /proc"):
		e.Fix = "in a container: --security-opt systempaths=unconfined, or --privileged"
	case strings.HasPrefix(trouble, "make mounts"), strings.HasPrefix(trouble, "mount FUSE"):
		e.Fix = "in a container: --cap-add SYS_ADMIN --security-opt apparmor=unconfined, or --privileged"
	}
	return e
}
