package leftover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// runNetworked is a run with all that can be left: a noted directory, in it the mount of a disk that this very process serves, and a
// node of a session of its own in a network namespace of its own.
func runNetworked(dir string) error {
	if err := Mark(); err != nil {
		return err
	}
	if _, err := Note(dir); err != nil {
		return err
	}
	mount := filepath.Join(dir, "mount")
	if err := os.MkdirAll(mount, 0o755); err != nil {
		return err
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd, os.Geteuid(), os.Getegid())
	if err := unix.Mount("holdfast", mount, "fuse.holdfast", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return err
	}
	node := exec.Command("/proc/self/exe")
	node.Env = append(os.Environ(), actEnv+"=node")
	node.Stdout = os.Stdout
	node.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNET}
	if err := node.Start(); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return nil
}

// runNode makes a TUN device in its namespace, says so, and is paused.
func runNode() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	device, err := unix.NewIfreq("left%d")
	if err != nil {
		return err
	}
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, device); err != nil {
		return err
	}
	netns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	fmt.Println("node", os.Getpid(), netns, len(links))
	return syscall.Kill(os.Getpid(), syscall.SIGSTOP)
}

// TestNothingOfANetworkedRunIsLeft kills a run with a mount, a paused node and a network: the mount, the node and the directory are
// found and removed, and the network namespace and its device need nobody, for they go with the node.
func TestNothingOfANetworkedRunIsLeft(t *testing.T) {
	if err := errors.Join(abilities.Namespaces, abilities.Disks, abilities.Network); err != nil {
		t.Skip(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv(markEnv, "")
	dir := filepath.Join(t.TempDir(), "run")
	run, out := start(t, "networked", dir)
	var pid, links int
	var netns string
	if _, err := fmt.Fscanf(out, "node %d %s %d\n", &pid, &netns, &links); err != nil || links != 2 { // lo and the device
		t.Fatalf("the run's node: %d links, %v", links, err)
	}
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait() // killed
	if in := processesIn(t, netns); !slices.Equal(in, []int{pid}) {
		t.Fatalf("processes %v are in the network namespace, want %d", in, pid)
	}
	f := find(t)
	mount := filepath.Join(dir, "mount")
	if !slices.Equal(f.Processes, []int{pid}) || !slices.Equal(f.Mounts, []string{mount}) || !slices.Equal(f.Directories, []string{dir}) {
		t.Fatalf("found %+v, want process %d, %s and %s", f, pid, mount, dir)
	}
	if err := f.Clean(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); len(processesIn(t, netns)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("processes %v are in the network namespace still", processesIn(t, netns))
		}
	}
	if f := find(t); !f.None() {
		t.Errorf("left after cleaning: %+v", f)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) || strings.Contains(string(mounts), dir) || strings.Contains(string(mounts), netns) {
		t.Errorf("left after cleaning: %s (%v) or one of the mounts %s", dir, err, mounts)
	}
}

// processesIn lists the processes with a thread in the network namespace.
func processesIn(t *testing.T, netns string) (pids []int) {
	t.Helper()
	threads, err := filepath.Glob("/proc/[0-9]*/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range threads {
		name, err := os.Readlink(path)
		if err != nil || name != netns { // of a thread that has ended
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}
