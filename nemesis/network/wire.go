package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// The client and the server exchange JSON values over a pair of sequenced-packet sockets, one value a packet: a request,
// then its reply, one after the other. A reply may carry an open namespace file.

// The operations of the control protocol.
const (
	opPing     = "ping"
	opHost     = "add-host"
	opLocal    = "add-local"
	opRemove   = "remove"
	opRenew    = "renew"
	opDiscard  = "discard"
	opSet      = "set"
	opClear    = "clear"
	opCounters = "counters"
	opStats    = "stats"
)

// request is one call of the client.
type request struct {
	Op     string
	Host   string       `json:",omitzero"`
	Addr   netip.Prefix `json:",omitzero"`
	Outlet int          `json:",omitzero"`
	Rule   *Rule        `json:",omitzero"`
	ID     RuleID       `json:",omitzero"`
}

// reply answers a request.
type reply struct {
	Error   string `json:",omitzero"`
	ID      RuleID `json:",omitzero"`
	Packets int64  `json:",omitzero"`

	Counters *Counters `json:",omitzero"`
	Stats    *Stats    `json:",omitzero"`
}

// valueMax is the largest value in bytes: a rule that names every host twice is far below it.
const valueMax = 64 << 10

// socketPair returns two connected control sockets: one for this process, one to pass on.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("network: socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "network-control")
	ours, err := controlConn(os.NewFile(uintptr(fds[0]), "network-control"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// controlConn takes over f.
func controlConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("network: control socket: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("network: control socket: not of the Unix domain")
	}
	return u, nil
}

// sendValue writes v, and file with it unless that is nil.
func sendValue(c *net.UnixConn, v any, file *os.File) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > valueMax {
		return fmt.Errorf("%d bytes: want at most %d", len(b), valueMax)
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	_, _, err = c.WriteMsgUnix(b, rights, nil)
	return err
}

// receiveValue reads into v, and returns the file that came with it, or nil.
func receiveValue(c *net.UnixConn, v any) (*os.File, error) {
	b, rights := make([]byte, valueMax), make([]byte, unix.CmsgSpace(4))
	n, rn, flags, _, err := c.ReadMsgUnix(b, rights)
	if err != nil {
		return nil, err
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		return nil, errors.New("a value too large")
	}
	var file *os.File
	if rn > 0 {
		if file, err = receivedFile(rights[:rn]); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(b[:n], v); err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return file, nil
}

func receivedFile(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds { // there is room for one
			unix.CloseOnExec(fd)
			return os.NewFile(uintptr(fd), "netns"), nil
		}
	}
	return nil, errors.New("a control message without a file")
}
