package broker

import (
	"fmt"

	"holdfast/broker/remoting"
)

// excess says what of a heartbeat is more than is allowed; "" when nothing is.
func (l *Limits) excess(h *remoting.Heartbeat) string {
	limit, filter := l.Subscriptions, l.FilterBytes
	if len(h.Consumers) > limit || len(h.Producers) > limit {
		return fmt.Sprintf("%d groups in a heartbeat; %d are allowed", max(len(h.Consumers), len(h.Producers)), limit)
	}
	for i := range h.Consumers {
		d := &h.Consumers[i]
		if len(d.Subscriptions) > limit {
			return fmt.Sprintf("group %s subscribes to %d topics; %d are allowed", d.Group, len(d.Subscriptions), limit)
		}
		for j := range d.Subscriptions {
			if s := &d.Subscriptions[j]; len(s.Expression) > filter {
				return fmt.Sprintf("group %s has an expression of %d bytes for topic %s; %d are allowed", d.Group, len(s.Expression), s.Topic, filter)
			}
		}
	}
	return ""
}

// carriesMessages reports whether the body of a request is that of messages.
func carriesMessages(code int32) bool {
	switch code {
	case remoting.RequestSendMessage, remoting.RequestSendMessageV2, remoting.RequestSendBatchMessage,
		remoting.RequestSendReplyMessage, remoting.RequestSendReplyMessageV2:
		return true
	}
	return false
}
