package broker

import (
	"fmt"

	"holdfast/broker/remoting"
)

// admin serves what operators, their tools and slaves ask for. A code that nobody here knows is answered
// REQUEST_CODE_NOT_SUPPORTED with its name.
func (n *Node) admin(c ConnID, f *remoting.Frame, out *Output) {
	switch f.Code {
	case remoting.RequestGetAllTopicConfig:
		t := n.topics.table()
		n.okLater(c, f, t.Append, out)
	case remoting.RequestGetAllConsumerOffset:
		t := n.offsets.table()
		n.okLater(c, f, t.Append, out)
	case remoting.RequestGetAllSubscriptionGroupConfig:
		t := n.groups.table()
		n.okLater(c, f, t.Append, out)
	case remoting.RequestGetAllDelayOffset:
		t := n.delayed.table(n.control != nil)
		n.ok(c, f, t.Append(nil), out)
	case remoting.RequestUpdateAndCreateTopicList:
		n.createTopics(c, f, out)
	case remoting.RequestGetTopicConfig:
		n.topicConfig(c, f, out)
	case remoting.RequestGetTopicStatsInfo:
		n.topicStats(c, f, out)
	case remoting.RequestGetEarliestMsgStoreTime:
		n.earliestTime(c, f, out)
	case remoting.RequestQueryConsumeQueue:
		n.queueUnits(c, f, out)
	case remoting.RequestGetSystemTopicListFromBroker:
		n.ok(c, f, remoting.AppendTopicList(nil, systemTopics), out)
	case remoting.RequestGetBrokerRuntimeInfo:
		n.runtimeInfo(c, f, out)
	case remoting.RequestUpdateBrokerConfig:
		n.updateBrokerConfig(c, f, out)
	case remoting.RequestGetBrokerConfig:
		n.brokerConfig(c, f, out)
	case remoting.RequestGetBrokerHAStatus:
		n.haStatus(c, f, out)
	case remoting.RequestViewBrokerStatsData:
		n.viewStats(c, f, out)
	case remoting.RequestCleanExpiredConsumeQueue, remoting.RequestCleanUnusedTopic:
		n.ok(c, f, nil, out) // what is expired goes with its commit log, what is unused holds messages
	case remoting.RequestNotifyBrokerRoleChanged:
		n.roleChanged(c, f, out)
	case remoting.RequestCheckClientConfig:
		n.ok(c, f, nil, out)
	default:
		if !n.groupAdmin(c, f, out) && !n.asksOfSlaves(c, f, out) {
			n.refuse(c, f, remoting.ResponseRequestCodeNotSupported, fmt.Sprintf("request code %d (%s) is not supported", f.Code, remoting.RequestName(f.Code)), out)
		}
	}
}

// groupAdmin serves what is asked about groups and their members, and reports whether f is such a request.
func (n *Node) groupAdmin(c ConnID, f *remoting.Frame, out *Output) bool {
	switch f.Code {
	case remoting.RequestUpdateAndCreateSubscriptionGroup, remoting.RequestUpdateAndCreateSubscriptionGroupList:
		n.createGroups(c, f, out)
	case remoting.RequestDeleteSubscriptionGroup:
		n.deleteGroup(c, f, out)
	case remoting.RequestGetSubscriptionGroupConfig:
		n.groupConfig(c, f, out)
	case remoting.RequestGetProducerConnectionList:
		n.producerConnections(c, f, out)
	case remoting.RequestGetAllProducerInfo:
		n.allProducers(c, f, out)
	case remoting.RequestGetConsumeStats:
		n.consumeStats(c, f, out)
	case remoting.RequestGetBrokerConsumeStats:
		n.brokerConsumeStats(c, f, out)
	case remoting.RequestQueryConsumeTimeSpan:
		n.timeSpans(c, f, out)
	case remoting.RequestQueryTopicConsumeByWho:
		n.consumedBy(c, f, out)
	case remoting.RequestQueryTopicsByConsumer:
		n.topicsByConsumer(c, f, out)
	case remoting.RequestQuerySubscriptionByConsumer:
		n.subscriptionOf(c, f, out)
	case remoting.RequestInvokeBrokerToResetOffset:
		n.resetOffset(c, f, out)
	case remoting.RequestCloneGroupOffset:
		n.cloneOffsets(c, f, out)
	case remoting.RequestInvokeBrokerToGetConsumerStatus:
		n.consumerStatus(c, f, out)
	case remoting.RequestGetConsumerRunningInfo:
		n.runningInfo(c, f, out)
	case remoting.RequestConsumeMessageDirectly:
		n.consumeDirectly(c, f, out)
	default:
		return false
	}
	return true
}
