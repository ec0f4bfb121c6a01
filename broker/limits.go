package broker

import (
	"bytes"
	"fmt"
	"strconv"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// refusal returns why a send is refused, as far as that needs no knowledge of the node; fault is empty when it is not. Codes and
// remarks are those that 5.5.0 and 4.9.7 were seen to give (conformance/testdata/limits.json).
// Source: AbstractSendMessageProcessor.msgCheck, TopicValidator, HookUtils.checkBeforePutMessage (RocketMQ 5.5.0).
func (in *Intake) refusal(h *remoting.SendHeader, body []byte) (code int32, fault string) {
	old := in.cfg.isRocketMQ4()
	if len(body) == 0 && !old {
		return remoting.ResponseSystemError, "the message has no body"
	}
	if fault := topicFault(h.Topic, old); fault != "" {
		return invalidParameter(old), fault
	}
	switch {
	case forbiddenTopic(h.Topic):
		return remoting.ResponseNoPermission, "Sending message to topic[" + string(h.Topic) + "] is forbidden."
	case h.SysFlag&message.SysRollback != 0:
		// A half message would never be committed: END_TRANSACTION is not offered. Source: rejectTransactionMessage.
		return remoting.ResponseNoPermission, "the broker sending transaction message is forbidden"
	case h.Batch && bytes.HasPrefix(h.Topic, retryPrefix) && !old:
		return remoting.ResponseMessageIllegal, "batch request does not support retry group " + string(h.Topic)
	}
	if _, isNumber := delayOf(h.Properties); !isNumber {
		return remoting.ResponseSystemError, "the delay level is no number"
	}
	return 0, ""
}

// illegal reports whether the store would not take a message for its properties, to which the broker adds so many bytes, or for a
// batch that is to be delayed.
func illegal(h *remoting.SendHeader, added int) bool {
	if propertyBytes(h.Properties, added) > message.PropertiesMax {
		return true
	}
	if !h.Batch {
		return false
	}
	level, _ := delayOf(h.Properties)
	return level > 0
}

// invalidParameter is the code of a parameter that cannot be: 4.9 knows only that of an error of the broker.
func invalidParameter(old bool) int32 {
	if old {
		return remoting.ResponseSystemError
	}
	return remoting.ResponseInvalidParameter
}

// propertyBytes is the length of the properties with those that the broker adds, as the record holds them: the limit on it is that of the
// record's format. RocketMQ 5 adds a UNIQ_KEY, too, to a message that has none, which no client sends; here it goes without.
// Source: MessageExtEncoder.encode, SendMessageProcessor.sendMessage (RocketMQ 5.3.3), CommitLog.MessageExtEncoder.encode (4.9.7).
func propertyBytes(properties []byte, added int) int {
	n := len(properties) + added
	if len(properties) > 0 && !message.PropertiesEnded(properties) {
		n++
	}
	return n
}

// delayOf returns the delay level of a message, 0 when it has none, and whether it is a number.
func delayOf(properties []byte) (level int64, ok bool) {
	value, found := message.Property(properties, message.PropertyDelay)
	if !found {
		return 0, true
	}
	level, err := strconv.ParseInt(string(value), 10, 32)
	return level, err == nil
}

// tooLong returns why a send is refused whose message the store would not take, by the limit of this moment; fault is empty when it would.
// Source: SendMessageProcessor.sendBatchMessage, handlePutMessageResult (5.5.0).
func (n *Node) tooLong(s *Send, bodyBytes int) (code int32, fault string) {
	limit := n.cfg.MaxMessageBytes
	switch {
	case s.Batch && bodyBytes > limit && !n.cfg.isRocketMQ4():
		return remoting.ResponseSystemError, "message body size exceeded"
	case s.Illegal, bodyBytes > limit:
		return remoting.ResponseMessageIllegal, fmt.Sprintf("the message is illegal, maybe msg body or properties length not matched. "+
			"msg body length limit %dB, msg properties length limit 32KB.", limit)
	}
	return 0, ""
}

// topicFault says why a name can be no topic, in the words of 4.9 where old; empty when it can.
// Source: TopicValidator.validateTopic (RocketMQ 5.5.0, 4.9.7).
func topicFault(name []byte, old bool) string {
	limit := message.TopicBytesV1
	if bytes.HasPrefix(name, retryPrefix) {
		limit = 255 // the name of a group is in it
	}
	switch {
	case len(bytes.TrimSpace(name)) == 0:
		return "The specified topic is blank."
	case !validTopic(name) && old:
		return "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
	case !validTopic(name):
		return "The specified topic: " + string(name) + ", contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
	case len(name) > limit && old:
		return "The specified topic is longer than topic max length."
	case len(name) > limit:
		return fmt.Sprintf("The specified topic: %s, is longer than topic max length: %d", name, limit)
	}
	return ""
}

// validTopic reports whether name matches ^[%|a-zA-Z0-9_-]+$.
func validTopic(name []byte) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '%', c == '|':
		default:
			return false
		}
	}
	return len(name) > 0
}

// forbiddenTopic reports whether clients may not send to name. Source: TopicValidator.NOT_ALLOWED_SEND_TOPIC_SET (5.3.3).
func forbiddenTopic(name []byte) bool {
	switch string(name) {
	case "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
		"SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT":
		return true
	}
	return false
}
