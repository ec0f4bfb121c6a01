package sim

import (
	"fmt"
	"strings"

	"holdfast/broker"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
)

// describe says in a line what happened to a node and what it decided; "" when nothing changed.
func describe(ev *broker.Event, out *broker.Output) string {
	var b strings.Builder
	for _, f := range []struct {
		does bool
		text func() string
	}{
		{out.Write != nil, func() string { return fmt.Sprintf("write up to %d", out.Write.Upto) }},
		{out.Sync != nil, func() string { return fmt.Sprintf("sync up to %d", out.Sync.Upto) }},
		{out.Truncate != nil, func() string { return "truncate" }},
		{len(out.Replies) > 0, func() string { return replies(out.Replies) }},
		{len(out.Replica) > 0, func() string { return transfers(out.Replica) }},
		{len(out.Calls) > 0, func() string { return fmt.Sprintf("%d calls", len(out.Calls)) }},
		{len(out.Saves) > 0, func() string { return "save " + out.Saves[0].Name }},
		{out.ReplicaDial != "", func() string { return "dial " + out.ReplicaDial }},
		{len(out.Close)+len(out.ReplicaClose) > 0, func() string { return fmt.Sprintf("close %d", len(out.Close)+len(out.ReplicaClose)) }},
		{len(out.Notes) > 0, func() string { return "note: " + out.Notes[0].Text }},
		{out.Halt != nil, func() string { return "HALT: " + out.Halt.Error() }},
		{out.Stopped, func() string { return "stopped" }},
	} {
		if f.does {
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(f.text())
		}
	}
	cause := causeOf(ev)
	switch {
	case b.Len() == 0 && cause == "":
		return ""
	case b.Len() == 0:
		return cause
	}
	return strings.TrimSpace(cause+" -> ") + " " + b.String()
}

// causeOf says what happened; "" for what changes nothing by itself.
func causeOf(ev *broker.Event) string {
	switch ev.Kind {
	case broker.KindReceived:
		return requests(ev.Requests)
	case broker.KindOpened:
		return "connection " + fmt.Sprint(ev.Conn) + " from " + ev.Addr
	case broker.KindClosed:
		return "connection " + fmt.Sprint(ev.Conn) + " gone"
	case broker.KindWritten:
		return outcome("written", ev.Err)
	case broker.KindSynced:
		return outcome("synced", ev.Err)
	case broker.KindAuxDone:
		return outcome("queues and checkpoint", ev.Err)
	case broker.KindTruncated:
		return outcome("truncated", ev.Err)
	case broker.KindSaved:
		return outcome("saved "+ev.Name, ev.Err)
	case broker.KindAnswered:
		return outcome("answered", ev.Err)
	case broker.KindReplica:
		return replicaEvent(&ev.Replica)
	case broker.KindStop:
		return "stop"
	}
	return ""
}

func outcome(what string, err error) string {
	if err != nil {
		return what + ": " + err.Error()
	}
	return what
}

func replicaEvent(ev *replica.Event) string {
	switch ev.Kind {
	case replica.KindConnected:
		return "replication with " + ev.Addr
	case replica.KindRefused:
		return "master not reached"
	case replica.KindReceived:
		return fmt.Sprintf("%d bytes of replication", len(ev.Data))
	case replica.KindClosed:
		return "replication ended"
	case replica.KindMaster:
		return "master at " + ev.Addr
	}
	return ""
}

// requests lists them by code, the number of each.
func requests(all []broker.Request) string {
	var parts []string
	for i := 0; i < len(all); {
		code, n := all[i].Frame.Code, 0
		for ; i < len(all) && all[i].Frame.Code == code; i++ {
			n++
		}
		name := remoting.RequestName(code)
		if n > 1 {
			name += fmt.Sprintf(" x%d", n)
		}
		parts = append(parts, name)
	}
	return strings.Join(parts, ", ")
}

// replies lists the answers by code, and where those of sends stand.
func replies(all []broker.Reply) string {
	var parts []string
	for i := range all {
		r := &all[i]
		switch {
		case r.Kind == broker.ReplyPut:
			parts = append(parts, fmt.Sprintf("%s #%d queue %d offset %d", remoting.ResponseName(r.Code), r.Opaque, r.QueueID, r.QueueOffset))
		case r.Kind == broker.ReplyPull:
			parts = append(parts, fmt.Sprintf("%s #%d %d bytes", remoting.ResponseName(r.Code), r.Opaque, r.Pull.Bytes))
		}
	}
	if rest := len(all) - len(parts); rest > 0 {
		parts = append(parts, fmt.Sprintf("%d answers", rest))
	}
	return strings.Join(parts, ", ")
}

// transfers sums up what goes to the peers.
func transfers(all []broker.Transfer) string {
	bytes := 0
	for i := range all {
		for _, r := range all[i].Ranges {
			bytes += r.Len
		}
	}
	if bytes > 0 {
		return fmt.Sprintf("replicate %d bytes", bytes)
	}
	return "report"
}
