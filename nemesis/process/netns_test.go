package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// printLinks is a node that says which network it sees.
func printLinks() int {
	links, err := net.Interfaces()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	netns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, link := range links {
		fmt.Println("link", link.Name, link.Flags&net.FlagUp != 0)
	}
	fmt.Println("namespace", netns, len(links))
	return 0
}

// newNetNS makes a network namespace and returns it with its name, as /proc has it.
func newNetNS(t *testing.T) (netns *os.File, name string) {
	t.Helper()
	failed := make(chan error)
	go offMainThread(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends in the new namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			netns, err = os.Open("/proc/thread-self/ns/net")
		}
		if err == nil {
			name, err = os.Readlink("/proc/thread-self/ns/net")
		}
		failed <- err
	})
	if err := <-failed; err != nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
	t.Cleanup(func() { netns.Close() })
	return netns, name
}

// TestNetNS starts processes in a network namespace of their own, from goroutines on the first thread of the process among them:
// they must see that namespace alone, and no thread of this process may be left in it.
func TestNetNS(t *testing.T) {
	netns, name := newNetNS(t)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // so that all threads take part
		log := filepath.Join(t.TempDir(), "log")
		p, err := Start(Command{Name: "a-0", Argv: []string{"/proc/self/exe"}, Env: []string{actEnv + "=links"}, Log: log, NetNS: netns})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		said, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("link lo false\nnamespace %s 1\n", name); string(said) != want { // the sandbox's own lo is up
			t.Errorf("got %q, want %q", said, want)
		}
	}
	p, log := startNode(t, "links") // nothing said about its namespace: the harness's
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, log, "namespace "+own)
	awaitAllThreadsIn(t, own)
}

// TestNoNetNS gives a file that is no namespace.
func TestNoNetNS(t *testing.T) {
	f, err := os.Open("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := Start(Command{Name: "a-0", Argv: []string{"/proc/self/exe"}, Env: []string{actEnv + "=idle"}, NetNS: f})
	if err == nil {
		_, _ = Kill(context.Background(), p)
		t.Error("started")
	}
}

// awaitAllThreadsIn returns when every thread of this process is in the network namespace; one that has just ended may still be seen.
func awaitAllThreadsIn(t *testing.T, own string) {
	t.Helper()
	var elsewhere []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		elsewhere = elsewhere[:0]
		threads, err := filepath.Glob("/proc/self/task/*/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range threads {
			if name, err := os.Readlink(path); err == nil && name != own {
				elsewhere = append(elsewhere, path)
			}
		}
		if len(elsewhere) == 0 {
			return
		}
	}
	t.Errorf("threads in another network namespace: %v", elsewhere)
}
