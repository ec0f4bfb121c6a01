package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/broker/remoting"
)

// self is this very process as a node's.
type self struct{}

func (self) PID() int                    { return os.Getpid() }
func (self) Signal(syscall.Signal) error { return nil }
func (self) Done() <-chan struct{}       { return nil }

// answers gives a fake broker's answer to a request: response code, header field and body.
type answers func(f *remoting.Frame) (code int32, ext remoting.Ext, body string)

// fakeBroker answers requests on a port of its own until the test ends.
func fakeBroker(t *testing.T, reply answers) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var have []byte
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					have = append(have, buf[:n]...)
					if f, size, bad := remoting.Decode(have); bad == nil && size > 0 {
						code, ext, body := reply(&f)
						c.Write(remoting.Append(nil, &remoting.Frame{
							Code: code, Opaque: f.Opaque, Flag: remoting.FlagResponse, Ext: ext, Body: []byte(body), Remark: []byte("because"),
						}))
					}
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// state is what a fake broker says of itself.
type state struct {
	logEnd   int64
	queueEnd [2]int64
	slaves   int // -1: it does not know the request
}

func (s state) answer(f *remoting.Frame) (int32, remoting.Ext, string) {
	switch f.Code {
	case remoting.RequestGetBrokerRuntimeInfo:
		return remoting.ResponseSuccess, remoting.Ext{}, fmt.Sprintf(`{"table":{"commitLogMaxOffset":"%d"}}`, s.logEnd)
	case remoting.RequestGetMaxOffset:
		queue, _ := f.Ext.Get("queueId")
		return remoting.ResponseSuccess, remoting.NewExt("offset", fmt.Sprint(s.queueEnd[queue[0]-'0'])), ""
	case remoting.RequestGetBrokerHAStatus:
		if s.slaves < 0 {
			break
		}
		list := strings.TrimSuffix(strings.Repeat(`{"addr":"x","slaveAckOffset":1},`, s.slaves), ",")
		return remoting.ResponseSuccess, remoting.Ext{}, `{"master":true,"haConnectionInfo":[` + list + `]}`
	}
	return remoting.ResponseRequestCodeNotSupported, remoting.Ext{}, ""
}

func TestLevel(t *testing.T) {
	for _, row := range []struct {
		says          string
		master, slave state
		unlinked      bool
		want          string // of the error; "" when it has caught up
	}{
		{"nothing sent yet", state{slaves: 1}, state{}, false, ""},
		{"level", state{900, [2]int64{3, 4}, 1}, state{900, [2]int64{3, 4}, 0}, false, ""},
		{"4.9 does not tell of its slaves", state{900, [2]int64{3, 4}, -1}, state{900, [2]int64{3, 4}, -1}, false, ""},
		{"level, and no connection", state{slaves: 1}, state{}, true, "no connection to the HA port of a-0"},
		{"connected, and not counted", state{}, state{}, false, "a-0 does not count it as a slave"},
		{"behind", state{900, [2]int64{3, 4}, 1}, state{800, [2]int64{3, 3}, 0}, false, "its commit log ends at 800, that of a-0 at 900"},
		{"ahead of a master that lost its tail", state{900, [2]int64{3, 4}, 1}, state{1000, [2]int64{3, 5}, 0}, false, "its commit log ends at 1000"},
		{"equally long, its queues frozen", state{900, [2]int64{3, 9}, 1}, state{900, [2]int64{3, 4}, 0}, false, "its queue t/1 ends at 4, that of a-0 at 9"},
	} {
		t.Run(row.says, func(t *testing.T) {
			ha, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ha.Close()
			if !row.unlinked {
				c, err := net.Dial("tcp", ha.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			master := &Node{Name: "a-0", Role: Master, Addr: fakeBroker(t, row.master.answer), haPort: ha.Addr().(*net.TCPAddr).AddrPort().Port(), process: self{}}
			slave := &Node{Name: "a-1", Role: Slave, Addr: fakeBroker(t, row.slave.answer), process: self{}}
			g := &Group{Name: "a", nodes: []*Node{{Name: "ns"}, master, slave}, opt: Options{Topics: []Topic{{"t", 2}}}}
			err = g.level(t.Context(), slave)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestAwaitTellsTheLastAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := &Node{Name: "a-1", process: self{}, Log: os.DevNull}
	asked := 0
	err := n.await(ctx, time.Millisecond, "ready", func(context.Context) error {
		if asked++; asked == 1 {
			return errors.New("its log is short")
		}
		cancel()
		return errors.New("the question was cut short")
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "a-1: not ready") || !strings.Contains(err.Error(), "last: its log is short") {
		t.Errorf("got %v", err)
	}
	wantCode(t, "not ready", err, 3)
}

func TestRoute(t *testing.T) {
	for _, row := range []struct {
		says, body string
		code       int32
		want       string // address of the master; "" when there is none
		fails      bool
	}{
		{"master and slave", `{"brokerDatas":[{"brokerAddrs":{"0":"h:1","1":"h:2"},"brokerName":"a","cluster":"c"}],"queueDatas":[]}`, 0, "h:1", false},
		{"the slave alone", `{"brokerDatas":[{"brokerAddrs":{"1":"h:2"},"brokerName":"a"}]}`, 0, "", false},
		{"another group", `{"brokerDatas":[{"brokerAddrs":{"0":"h:1"},"brokerName":"b"}]}`, 0, "", false},
		{"no such topic", "", remoting.ResponseTopicNotExist, "", false},
		{"not JSON", "{0:", 0, "", true},
	} {
		addr := fakeBroker(t, func(*remoting.Frame) (int32, remoting.Ext, string) { return row.code, remoting.Ext{}, row.body })
		got, err := route(t.Context(), addr.String(), "t", "a")
		if got["0"] != row.want || (err != nil) != row.fails {
			t.Errorf("%s: got %v, %v; want %q", row.says, got, err, row.want)
		}
	}
}

func TestRouted(t *testing.T) {
	master := &Node{Name: "a-0", Role: Master, Addr: netip.MustParseAddrPort("127.0.0.1:10911")}
	for addr, want := range map[string]bool{"127.0.0.1:10911": true, "127.0.0.1:10921": false} {
		ns := fakeBroker(t, func(*remoting.Frame) (int32, remoting.Ext, string) {
			return 0, remoting.Ext{}, `{"brokerDatas":[{"brokerAddrs":{"0":"` + addr + `"},"brokerName":"a"}]}`
		})
		g := &Group{Name: "a", nodes: []*Node{{Name: "ns", Addr: ns}, master}, opt: Options{Topics: []Topic{{"t", 2}}}}
		if err := g.routed(t.Context()); (err == nil) != want {
			t.Errorf("the route leads to %s: got %v, want it to be the master's: %v", addr, err, want)
		}
	}
}

func TestCallGivesUp(t *testing.T) {
	addr := fakeBroker(t, func(*remoting.Frame) (int32, remoting.Ext, string) { select {} })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := call(ctx, addr.String(), 1); err == nil {
		t.Error("a silent node answered")
	}
	refuses := fakeBroker(t, func(*remoting.Frame) (int32, remoting.Ext, string) {
		return remoting.ResponseSystemError, remoting.Ext{}, ""
	})
	_, err := ask(t.Context(), refuses.String(), remoting.RequestGetMaxOffset)
	if err == nil || !strings.Contains(err.Error(), "GET_MAX_OFFSET: SYSTEM_ERROR: because") {
		t.Errorf("got %v, want the node's own words", err)
	}
}
