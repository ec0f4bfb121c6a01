package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// usernsEnv makes the test binary a process of a new user namespace that tests the disk in its argument's directory.
const usernsEnv = "HOLDFAST_DISK_USERNS"

// TestInUserNamespace runs the self-test where root is no root: in user, mount and PID namespaces, as an unprivileged user
// has them.
func TestInUserNamespace(t *testing.T) {
	if impossible != nil {
		t.Skip(impossible)
	}
	cmd := exec.Command("/proc/self/exe", t.TempDir())
	cmd.Env = append(os.Environ(), usernsEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skip("no user namespaces here: ", err)
	}
	if got := strings.TrimSpace(string(out)); err != nil || got != "kept" {
		t.Errorf("%v: %s", err, got)
	}
}

// runUserns is the child.
func runUserns(dir string) int {
	err := func() error {
		if err := unix.Mknod(dir+"/null", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err == nil {
			return errors.New("could make a device: this is the real root")
		}
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
		c, err := Start(context.Background(), Config{})
		if err != nil {
			return err
		}
		return errors.Join(SelfTest(context.Background(), c, dir), c.Close())
	}()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("kept")
	return 0
}
