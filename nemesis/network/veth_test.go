package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// vethPair makes two namespaces with a pair of veth devices between them: what a sandbox without a switch would use.
func vethPair(b *testing.B) path {
	b.Helper()
	spaces := [2]*os.File{}
	for i := range spaces {
		ns, err := bareNamespace()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { ns.Close() })
		spaces[i] = ns
	}
	if err := within(spaces[0], func() error { return addVeth("veth0", "veth1", int(spaces[1].Fd())) }); err != nil {
		b.Skip("no veth devices here: ", err)
	}
	for i, ns := range spaces {
		addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)}), 24)
		if err := within(ns, func() error { return configure(fmt.Sprintf("veth%d", i), addr) }); err != nil {
			b.Fatal(err)
		}
	}
	return path{"veth", spaces[0], spaces[1], netip.AddrFrom4([4]byte{10, 0, 1, 2})}
}

// bareNamespace returns a new namespace with nothing but lo.
func bareNamespace() (ns *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with this goroutine
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			ns, err = os.Open("/proc/thread-self/ns/net")
		}
	}()
	<-done
	return ns, err
}

// addVeth makes a device in the calling thread's namespace and its peer in another. Source: rtnetlink(7), linux/veth.h.
func addVeth(name, peer string, peerNamespace int) error {
	const infoPeer = 1 // VETH_INFO_PEER
	other := append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, append([]byte(peer), 0))...)
	other = append(other, attribute(unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(peerNamespace)))...)
	info := append(attribute(unix.IFLA_INFO_KIND, []byte("veth")), attribute(unix.IFLA_INFO_DATA, attribute(infoPeer, other))...)
	body := append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, append([]byte(name), 0))...)
	body = append(body, attribute(unix.IFLA_LINKINFO, info)...)
	return netlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body)
}
