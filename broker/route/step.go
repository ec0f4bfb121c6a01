package route

import (
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// Step answers one request that came over conn and returns dst with the whole reply frame behind it, in the form of the
// request. A oneway request has its effect and no answer; replies that come in are passed over. Besides, the caller owes the
// Registry Closed when a connection ends and Expire now and then.
func (r *Registry) Step(now time.Duration, conn uint64, f *remoting.Frame, dst []byte) []byte {
	if f.IsResponse() {
		return dst
	}
	out := r.answer(now, conn, f, dst)
	if f.IsOneway() {
		return dst
	}
	return out
}

func (r *Registry) answer(now time.Duration, conn uint64, f *remoting.Frame, dst []byte) []byte {
	switch f.Code {
	case remoting.RequestRegisterBroker:
		return r.register(now, conn, f, dst)
	case remoting.RequestUnregisterBroker:
		h, err := remoting.ParseBroker(f.Ext)
		if err == nil {
			r.Unregister(h)
		}
		return done(dst, f, err)
	case remoting.RequestBrokerHeartbeat:
		h, err := remoting.ParseBrokerHeartbeat(f.Ext)
		if err == nil {
			r.Touch(now, h.ClusterName, h.BrokerAddr)
		}
		return done(dst, f, err)
	case remoting.RequestQueryDataVersion:
		return r.queryDataVersion(now, f, dst)
	case remoting.RequestGetRouteInfoByTopic:
		return r.routeInfo(f, dst)
	case remoting.RequestGetBrokerClusterInfo:
		info := r.Clusters()
		return reply(dst, f, info.Append(nil))
	case remoting.RequestGetAllTopicListFromNameServer:
		return reply(dst, f, remoting.AppendTopicList(nil, r.Topics()))
	case remoting.RequestDeleteTopicInNameServer:
		h, err := remoting.ParseTopic(f.Ext)
		if err == nil {
			cluster, _ := f.Ext.Get("clusterName")
			r.DeleteTopic(h.Topic, string(cluster))
		}
		return done(dst, f, err)
	case remoting.RequestWipeWritePermOfBroker:
		return r.setWritable(f, dst, false, "wipeTopicCount")
	case remoting.RequestAddWritePermOfBroker:
		return r.setWritable(f, dst, true, "addTopicCount")
	case remoting.RequestRegisterTopicInNameServer:
		return r.registerTopic(f, dst)
	case remoting.RequestGetTopicsByCluster, remoting.RequestGetSystemTopicListFromNS, remoting.RequestGetUnitTopicList,
		remoting.RequestGetHasUnitSubTopicList, remoting.RequestGetHasUnitSubUnunitTopicList:
		return r.topicList(f, dst)
	case remoting.RequestGetBrokerMemberGroup:
		return r.memberGroup(f, dst)
	case remoting.RequestGetNamesrvConfig:
		return reply(dst, f, []byte(r.cfg.Properties()))
	case remoting.RequestUpdateNamesrvConfig:
		return r.updateConfig(f, dst)
	case remoting.RequestPutKVConfig, remoting.RequestGetKVConfig, remoting.RequestDeleteKVConfig, remoting.RequestGetKVListByNamespace:
		return r.keyValue(f, dst)
	}
	return fail(dst, f, remoting.ResponseRequestCodeNotSupported, " request type "+f.CodeName()+" not supported")
}

func (r *Registry) register(now time.Duration, conn uint64, f *remoting.Frame, dst []byte) []byte {
	h, err := remoting.ParseRegisterBroker(f.Ext)
	if err != nil {
		return done(dst, f, err)
	}
	if h.Compressed {
		return fail(dst, f, remoting.ResponseSystemError, "compressed registration not supported")
	}
	if h.BodyCRC != 0 && h.BodyCRC != message.CRC(f.Body) {
		return fail(dst, f, remoting.ResponseSystemError, "crc32 not match")
	}
	body, err := remoting.ParseRegisterBrokerBody(f.Body)
	if err != nil {
		return done(dst, f, err)
	}
	answer, err := r.Register(now, conn, h, body.Topics)
	if err != nil {
		return fail(dst, f, remoting.ResponseSystemError, "register broker failed: "+err.Error())
	}
	w := remoting.BeginReply(dst, f, remoting.ResponseSuccess)
	answer.Append(&w)
	return w.Finish(r.List(OrderNamespace).Append(nil))
}

func (r *Registry) queryDataVersion(now time.Duration, f *remoting.Frame, dst []byte) []byte {
	h, err := remoting.ParseBroker(f.Ext)
	if err != nil {
		return done(dst, f, err)
	}
	version, err := remoting.ParseDataVersion(f.Body)
	if err != nil {
		return done(dst, f, err)
	}
	known, changed := r.DataVersion(now, h.ClusterName, h.BrokerAddr, version)
	w := remoting.BeginReply(dst, f, remoting.ResponseSuccess)
	answer := remoting.DataVersionReply{Changed: changed}
	answer.Append(&w)
	return w.Finish(known.Append(nil))
}

func (r *Registry) routeInfo(f *remoting.Frame, dst []byte) []byte {
	h, err := remoting.ParseTopic(f.Ext)
	if err != nil {
		return done(dst, f, err)
	}
	info, ok := r.Route(h.Topic)
	if !ok {
		return fail(dst, f, remoting.ResponseTopicNotExist, "No topic route info in name server for the topic: "+h.Topic)
	}
	return reply(dst, f, info.Append(nil))
}

func (r *Registry) setWritable(f *remoting.Frame, dst []byte, writable bool, count string) []byte {
	h, err := remoting.ParseBrokerName(f.Ext)
	if err != nil {
		return done(dst, f, err)
	}
	w := remoting.BeginReply(dst, f, remoting.ResponseSuccess)
	w.Int(count, int64(r.SetWritable(h.BrokerName, writable)))
	return w.Finish(nil)
}

func (r *Registry) keyValue(f *remoting.Frame, dst []byte) []byte {
	h, err := remoting.ParseKV(f.Code, f.Ext)
	if err != nil {
		return done(dst, f, err)
	}
	switch f.Code {
	case remoting.RequestPutKVConfig:
		if err := r.roomForKV(h.Namespace, h.Key, h.Value); err != nil {
			return fail(dst, f, remoting.ResponseSystemError, err.Error())
		}
		r.Put(h.Namespace, h.Key, h.Value)
	case remoting.RequestDeleteKVConfig:
		r.Delete(h.Namespace, h.Key)
	case remoting.RequestGetKVListByNamespace:
		if table := r.List(h.Namespace); table != nil {
			return reply(dst, f, table.Append(nil))
		}
		return fail(dst, f, remoting.ResponseQueryNotFound, "No config item, Namespace: "+h.Namespace)
	case remoting.RequestGetKVConfig:
		value, err := r.Get(h.Namespace, h.Key)
		if err != nil {
			return fail(dst, f, remoting.ResponseQueryNotFound, "No config item, Namespace: "+h.Namespace+" Key: "+h.Key)
		}
		w := remoting.BeginReply(dst, f, remoting.ResponseSuccess)
		w.String("value", value)
		return w.Finish(nil)
	}
	return reply(dst, f, nil)
}

func reply(dst []byte, f *remoting.Frame, body []byte) []byte {
	w := remoting.BeginReply(dst, f, remoting.ResponseSuccess)
	return w.Finish(body)
}

func fail(dst []byte, f *remoting.Frame, code int32, remark string) []byte {
	return remoting.AppendReply(dst, f.Form, code, f.Opaque, remark, nil)
}

// done answers a request that has nothing to return, or that could not be read.
func done(dst []byte, f *remoting.Frame, err error) []byte {
	if err != nil {
		return fail(dst, f, remoting.ResponseSystemError, err.Error())
	}
	return reply(dst, f, nil)
}
