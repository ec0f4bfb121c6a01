package broker

import (
	"strconv"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// Limits of QUERY_MESSAGE. Source: MessageStoreConfig.maxMsgsNumBatch, defaultQueryMaxNum (RocketMQ 5.3.3).
const (
	queryMax       = 64
	queryMaxUnique = 32
)

// query is a QUERY_MESSAGE or VIEW_MESSAGE_BY_ID while the disk is read for it.
type query struct {
	conn  ConnID
	frame remoting.Frame // of the request, for its reply alone
	phys  int64          // VIEW_MESSAGE_BY_ID: where the message stands
	load  *store.LoadJob
}

// queryMessage serves QUERY_MESSAGE: the newest messages of a topic with a key, by physical offset. What the contract lets
// consumers read is found at once, also before its keys are in the index files.
// Source: QueryMessageProcessor.queryMessage (RocketMQ 5.5.0).
func (n *Node) queryMessage(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseQueryMessage(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	most := min(h.MaxNum, queryMax)
	if h.UniqueKey {
		most = queryMaxUnique
	}
	n.read(c, f, 0, n.store.Query(store.Query{
		Topic: h.Topic, Key: h.Key, Tag: h.IndexType == remoting.IndexTypeTag, Max: int(most), Begin: h.Begin, End: h.End,
		Limit: n.contract.Readable(&n.marks), Bytes: n.cfg.Limits.PullBytes,
	}), out)
}

// viewMessage serves VIEW_MESSAGE_BY_ID.
// Source: QueryMessageProcessor.viewMessageById (RocketMQ 5.5.0).
func (n *Node) viewMessage(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseViewMessage(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	record, load, err := n.store.Record(h.Offset, n.contract.Readable(&n.marks))
	if load != nil {
		n.read(c, f, h.Offset, load, out)
		return
	}
	n.viewed(c, f, h.Offset, record, err, out)
}

// read puts a job out for a request.
func (n *Node) read(c ConnID, f *remoting.Frame, phys int64, load *store.LoadJob, out *Output) {
	if len(n.queries) >= n.cfg.Limits.Polls {
		n.refuse(c, f, remoting.ResponseSystemBusy, "[OVERLOAD]too many queries wait for the disk", out)
		return
	}
	n.queries = append(n.queries, query{c, remoting.Frame{Opaque: f.Opaque, Form: f.Form, Flag: f.Flag}, phys, load})
	out.Loads = append(out.Loads, load)
}

// loadedQuery answers the request that waits for job, and reports whether there is one.
func (n *Node) loadedQuery(job *store.LoadJob, out *Output) bool {
	for i, q := range n.queries {
		if q.load != job {
			continue
		}
		n.queries = append(n.queries[:i], n.queries[i+1:]...)
		err := n.store.Loaded(job)
		switch found := job.Matches(); {
		case found == nil:
			n.viewed(q.conn, &q.frame, q.phys, job.Record(), err, out)
		case err != nil:
			n.refuse(q.conn, &q.frame, remoting.ResponseSystemError, err.Error(), out)
		default:
			n.matched(&q, found, out)
		}
		return true
	}
	return false
}

func (n *Node) matched(q *query, found *store.Matches, out *Output) {
	reply := remoting.QueryMessageReply{LastTime: found.LastTime, LastPhys: found.LastPhys}
	if found.Count == 0 {
		n.answer(q.conn, &q.frame, out, reply.Append(nil, &q.frame, remoting.ResponseQueryNotFound, "can not find message, maybe time range not correct", nil))
		return
	}
	n.answer(q.conn, &q.frame, out, reply.Append(nil, &q.frame, remoting.ResponseSuccess, "", found.Records))
}

// viewed answers VIEW_MESSAGE_BY_ID with what stands at phys, if that is a message.
func (n *Node) viewed(c ConnID, f *remoting.Frame, phys int64, record []byte, err error, out *Output) {
	if err == nil {
		var r message.Record
		if r, _, err = message.Decode(record, false); err == nil && r.PhysOffset == phys {
			n.ok(c, f, record, out)
			return
		}
	}
	n.refuse(c, f, remoting.ResponseSystemError, "can not find message by the offset, "+strconv.FormatInt(phys, 10), out)
}
