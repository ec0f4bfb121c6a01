// Command groupmember is one member of a consumer group, by Apache's own client: it subscribes to a topic and prints a line for
// each message that it is given, before it confirms it. It decides nothing; whoever started it reads what the group got.
//
//	got QUEUE OFFSET NANOSECONDS   of the clock that all processes of the machine share
//
// SIGTERM, or the end of its standard input, has it leave the group; SIGKILL is how it crashes.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"golang.org/x/sys/unix"
)

func main() {
	namesrv := flag.String("namesrv", "", "address of the name server")
	group := flag.String("group", "", "consumer group")
	topic := flag.String("topic", "", "topic to subscribe to")
	name := flag.String("name", "", "name of this member, unique in its group")
	ordered := flag.Bool("ordered", false, "consume the messages of a queue one after the other, under the broker's lock of it")
	flag.Parse()
	if *namesrv == "" || *group == "" || *topic == "" || *name == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "groupmember: -namesrv, -group, -topic and -name are needed, and nothing else is taken")
		os.Exit(64)
	}
	rlog.SetLogLevel("error")
	if err := consume(*namesrv, *group, *topic, *name, *ordered); err != nil {
		fmt.Fprintln(os.Stderr, "groupmember:", err)
		os.Exit(3)
	}
}

// consume is in the group until the process is told to leave.
func consume(namesrv, group, topic, name string, ordered bool) error {
	leave, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer([]string{namesrv}), consumer.WithGroupName(group), consumer.WithInstance(name),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithConsumerOrder(ordered))
	if err != nil {
		return err
	}
	lines := &printer{out: bufio.NewWriter(os.Stdout)}
	if err := c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}, lines.take); err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is what counts
		close(orphaned)
	}()
	select {
	case <-leave.Done():
	case <-orphaned:
	}
	return c.Shutdown()
}

// printer writes a line for each message, whole and at once.
type printer struct {
	mu  sync.Mutex
	out *bufio.Writer
}

// take prints what the group was given and confirms it.
func (p *printer) take(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range msgs {
		fmt.Fprintf(p.out, "got %d %d %d\n", m.Queue.QueueId, m.QueueOffset, now())
	}
	if err := p.out.Flush(); err != nil { // nobody reads any more: what was printed is not known to have arrived
		return consumer.ConsumeRetryLater, err
	}
	return consumer.ConsumeSuccess, nil
}

// now is the machine's monotonic clock, which orders the lines of all members.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return time.Now().UnixNano() // never on Linux
	}
	return t.Nano()
}
