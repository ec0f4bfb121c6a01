package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/scenarios/cluster/sandbox"
)

// actEnv makes the test binary a command that uses a switch and does something then.
const actEnv = "HOLDFAST_NETWORK_TEST"

const (
	actHang         = "hang"         // with a switch and hosts, until killed
	actUnprivileged = "unprivileged" // enter a sandbox as whoever we are, and test the switch there
)

func runAct(act string) int {
	if act == actUnprivileged && !sandbox.Inside() {
		code, err := sandbox.Enter()
		if err != nil {
			fmt.Println(err)
			return 1
		}
		return code
	}
	if err := carryOutAct(act); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func carryOutAct(act string) error {
	c, err := Start(context.Background(), Config{})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.AddLocal("clients", netip.MustParsePrefix("10.2.0.1/24")); err != nil {
		return err
	}
	ns, err := c.AddHost("node", netip.MustParsePrefix("10.2.0.2/24"), -1)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := SelfTest(context.Background(), c); err != nil {
		return err
	}
	if act == actUnprivileged {
		id, err := c.Set(Rule{Loss: 1, Rate: 1 << 30})
		if err != nil {
			return err
		}
		if _, err := c.Clear(id); err != nil {
			return err
		}
		again, err := c.Renew("node")
		if err != nil {
			return err
		}
		fmt.Println("works as", os.Getenv(actorEnv))
		return again.Close()
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", ns.Fd()))
	if err != nil {
		return err
	}
	fmt.Println(c.PID(), link)
	time.Sleep(time.Hour)
	return errors.New("nobody killed it")
}

// actorEnv names who an actUnprivileged runs as.
const actorEnv = "HOLDFAST_NETWORK_TEST_ACTOR"

// TestNothingIsLeft kills a process that holds a switch: the switch must end, the device in the tests' own namespace be
// gone, and nobody have the hosts' namespaces open.
func TestNothingIsLeft(t *testing.T) {
	if impossible != nil {
		t.Skip(impossible)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), actEnv+"="+actHang)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	var link string
	if _, e := fmt.Sscan(line, &pid, &link); e != nil {
		t.Fatalf("%q: %v, %v", line, e, err)
	}
	if !alive(pid) || len(devices(t)) != 1 || len(holders(link)) == 0 {
		t.Fatalf("before: switch alive %v, devices %v, holders of %s %v", alive(pid), devices(t), link, holders(link))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	eventually(t, func() bool { return !alive(pid) && len(devices(t)) == 0 && len(holders(link)) == 0 })
}

// alive reports whether a process has not ended.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// devices are the switches' devices in the tests' own namespace.
func devices(t *testing.T) (names []string) {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Name, "hf") {
			names = append(names, l.Name)
		}
	}
	return names
}

// holders are the files of /proc by which some thread is in a namespace or has it open.
func holders(link string) (paths []string) {
	for _, pattern := range []string{"/proc/[0-9]*/task/*/ns/net", "/proc/[0-9]*/fd/*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			if l, err := os.Readlink(path); err == nil && l == link { // an error: it has just ended
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// TestUnprivileged uses the switch as another user, in a user namespace. Where the TUN device is root's alone, that user
// is given one of its own, in this sandbox only.
func TestUnprivileged(t *testing.T) {
	if impossible != nil {
		t.Skip(impossible)
	}
	if own, err := os.ReadFile("/proc/self/uid_map"); err != nil || len(strings.Fields(string(own))) != 3 || strings.Fields(string(own))[2] != "4294967295" {
		t.Skip("the tests run in a user namespace already, where all of them show it: ", err)
	}
	const nobody = 65534
	node := filepath.Join(t.TempDir(), "tun")
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(node, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(node, "/dev/net/tun", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount("/dev/net/tun", 0); err != nil {
			t.Error(err)
		}
	}()
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = "/"
	cmd.Env = []string{actEnv + "=" + actUnprivileged, actorEnv + "=nobody"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "works as nobody\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
