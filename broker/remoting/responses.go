package remoting

import "strconv"

// Response codes: what a frame with FlagResponse answers. ResponseFlushDiskTimeout, ResponseSlaveNotAvailable and
// ResponseFlushSlaveTimeout carry the full reply header of a send: the message is stored.
// Source: ResponseCode, RemotingSysResponseCode (RocketMQ 5.3.3).
const (
	ResponseRPCTimeOut                           int32 = -1006
	ResponseRPCSendToChannelFailed               int32 = -1004
	ResponseRPCAddrIsNull                        int32 = -1002
	ResponseRPCUnknown                           int32 = -1000
	ResponseSuccess                              int32 = 0
	ResponseSystemError                          int32 = 1
	ResponseSystemBusy                           int32 = 2
	ResponseRequestCodeNotSupported              int32 = 3
	ResponseTransactionFailed                    int32 = 4
	ResponseFlushDiskTimeout                     int32 = 10
	ResponseSlaveNotAvailable                    int32 = 11
	ResponseFlushSlaveTimeout                    int32 = 12
	ResponseMessageIllegal                       int32 = 13
	ResponseServiceNotAvailable                  int32 = 14
	ResponseVersionNotSupported                  int32 = 15
	ResponseNoPermission                         int32 = 16
	ResponseTopicNotExist                        int32 = 17
	ResponseTopicExistAlready                    int32 = 18
	ResponsePullNotFound                         int32 = 19
	ResponsePullRetryImmediately                 int32 = 20
	ResponsePullOffsetMoved                      int32 = 21
	ResponseQueryNotFound                        int32 = 22
	ResponseSubscriptionParseFailed              int32 = 23
	ResponseSubscriptionNotExist                 int32 = 24
	ResponseSubscriptionNotLatest                int32 = 25
	ResponseSubscriptionGroupNotExist            int32 = 26
	ResponseFilterDataNotExist                   int32 = 27
	ResponseFilterDataNotLatest                  int32 = 28
	ResponseInvalidParameter                     int32 = 29
	ResponseTransactionShouldCommit              int32 = 200
	ResponseTransactionShouldRollback            int32 = 201
	ResponseTransactionStateUnknown              int32 = 202
	ResponseTransactionStateGroupWrong           int32 = 203
	ResponseNoBuyerID                            int32 = 204
	ResponseNotInCurrentUnit                     int32 = 205
	ResponseConsumerNotOnline                    int32 = 206
	ResponseConsumeMsgTimeout                    int32 = 207
	ResponseNoMessage                            int32 = 208
	ResponsePollingFull                          int32 = 209
	ResponsePollingTimeout                       int32 = 210
	ResponseBrokerNotExist                       int32 = 211
	ResponseBrokerDispatchNotComplete            int32 = 212
	ResponseBroadcastConsumption                 int32 = 213
	ResponseFlowControl                          int32 = 215
	ResponseNotLeaderForQueue                    int32 = 501
	ResponseIllegalOperation                     int32 = 604
	ResponseGoAway                               int32 = 1500
	ResponseControllerFencedMasterEpoch          int32 = 2000
	ResponseControllerFencedSyncStateSetEpoch    int32 = 2001
	ResponseControllerInvalidMaster              int32 = 2002
	ResponseControllerInvalidReplicas            int32 = 2003
	ResponseControllerMasterNotAvailable         int32 = 2004
	ResponseControllerInvalidRequest             int32 = 2005
	ResponseControllerBrokerNotAlive             int32 = 2006
	ResponseControllerNotLeader                  int32 = 2007
	ResponseControllerBrokerMetadataNotExist     int32 = 2008
	ResponseControllerInvalidCleanBrokerMetadata int32 = 2009
	ResponseControllerBrokerNeedToBeRegistered   int32 = 2010
	ResponseControllerMasterStillExist           int32 = 2011
	ResponseControllerElectMasterFailed          int32 = 2012
	ResponseControllerAlterSyncStateSetFailed    int32 = 2013
	ResponseControllerBrokerIDInvalid            int32 = 2014
)

// ResponseName returns RocketMQ's name of a response code, such as "SYSTEM_ERROR", or "response N" for one it does not know.
func ResponseName(code int32) string {
	switch code {
	case ResponseRPCTimeOut:
		return "RPC_TIME_OUT"
	case ResponseRPCSendToChannelFailed:
		return "RPC_SEND_TO_CHANNEL_FAILED"
	case ResponseRPCAddrIsNull:
		return "RPC_ADDR_IS_NULL"
	case ResponseRPCUnknown:
		return "RPC_UNKNOWN"
	case ResponseSuccess:
		return "SUCCESS"
	case ResponseSystemError:
		return "SYSTEM_ERROR"
	case ResponseSystemBusy:
		return "SYSTEM_BUSY"
	case ResponseRequestCodeNotSupported:
		return "REQUEST_CODE_NOT_SUPPORTED"
	case ResponseTransactionFailed:
		return "TRANSACTION_FAILED"
	case ResponseFlushDiskTimeout:
		return "FLUSH_DISK_TIMEOUT"
	case ResponseSlaveNotAvailable:
		return "SLAVE_NOT_AVAILABLE"
	case ResponseFlushSlaveTimeout:
		return "FLUSH_SLAVE_TIMEOUT"
	case ResponseMessageIllegal:
		return "MESSAGE_ILLEGAL"
	case ResponseServiceNotAvailable:
		return "SERVICE_NOT_AVAILABLE"
	case ResponseVersionNotSupported:
		return "VERSION_NOT_SUPPORTED"
	case ResponseNoPermission:
		return "NO_PERMISSION"
	case ResponseTopicNotExist:
		return "TOPIC_NOT_EXIST"
	case ResponseTopicExistAlready:
		return "TOPIC_EXIST_ALREADY"
	case ResponsePullNotFound:
		return "PULL_NOT_FOUND"
	case ResponsePullRetryImmediately:
		return "PULL_RETRY_IMMEDIATELY"
	case ResponsePullOffsetMoved:
		return "PULL_OFFSET_MOVED"
	case ResponseQueryNotFound:
		return "QUERY_NOT_FOUND"
	case ResponseSubscriptionParseFailed:
		return "SUBSCRIPTION_PARSE_FAILED"
	case ResponseSubscriptionNotExist:
		return "SUBSCRIPTION_NOT_EXIST"
	case ResponseSubscriptionNotLatest:
		return "SUBSCRIPTION_NOT_LATEST"
	case ResponseSubscriptionGroupNotExist:
		return "SUBSCRIPTION_GROUP_NOT_EXIST"
	case ResponseFilterDataNotExist:
		return "FILTER_DATA_NOT_EXIST"
	case ResponseFilterDataNotLatest:
		return "FILTER_DATA_NOT_LATEST"
	case ResponseInvalidParameter:
		return "INVALID_PARAMETER"
	case ResponseTransactionShouldCommit:
		return "TRANSACTION_SHOULD_COMMIT"
	case ResponseTransactionShouldRollback:
		return "TRANSACTION_SHOULD_ROLLBACK"
	case ResponseTransactionStateUnknown:
		return "TRANSACTION_STATE_UNKNOW"
	case ResponseTransactionStateGroupWrong:
		return "TRANSACTION_STATE_GROUP_WRONG"
	case ResponseNoBuyerID:
		return "NO_BUYER_ID"
	case ResponseNotInCurrentUnit:
		return "NOT_IN_CURRENT_UNIT"
	case ResponseConsumerNotOnline:
		return "CONSUMER_NOT_ONLINE"
	case ResponseConsumeMsgTimeout:
		return "CONSUME_MSG_TIMEOUT"
	case ResponseNoMessage:
		return "NO_MESSAGE"
	case ResponsePollingFull:
		return "POLLING_FULL"
	case ResponsePollingTimeout:
		return "POLLING_TIMEOUT"
	case ResponseBrokerNotExist:
		return "BROKER_NOT_EXIST"
	case ResponseBrokerDispatchNotComplete:
		return "BROKER_DISPATCH_NOT_COMPLETE"
	case ResponseBroadcastConsumption:
		return "BROADCAST_CONSUMPTION"
	case ResponseFlowControl:
		return "FLOW_CONTROL"
	case ResponseNotLeaderForQueue:
		return "NOT_LEADER_FOR_QUEUE"
	case ResponseIllegalOperation:
		return "ILLEGAL_OPERATION"
	case ResponseGoAway:
		return "GO_AWAY"
	case ResponseControllerFencedMasterEpoch:
		return "CONTROLLER_FENCED_MASTER_EPOCH"
	case ResponseControllerFencedSyncStateSetEpoch:
		return "CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH"
	case ResponseControllerInvalidMaster:
		return "CONTROLLER_INVALID_MASTER"
	case ResponseControllerInvalidReplicas:
		return "CONTROLLER_INVALID_REPLICAS"
	case ResponseControllerMasterNotAvailable:
		return "CONTROLLER_MASTER_NOT_AVAILABLE"
	case ResponseControllerInvalidRequest:
		return "CONTROLLER_INVALID_REQUEST"
	case ResponseControllerBrokerNotAlive:
		return "CONTROLLER_BROKER_NOT_ALIVE"
	case ResponseControllerNotLeader:
		return "CONTROLLER_NOT_LEADER"
	case ResponseControllerBrokerMetadataNotExist:
		return "CONTROLLER_BROKER_METADATA_NOT_EXIST"
	case ResponseControllerInvalidCleanBrokerMetadata:
		return "CONTROLLER_INVALID_CLEAN_BROKER_METADATA"
	case ResponseControllerBrokerNeedToBeRegistered:
		return "CONTROLLER_BROKER_NEED_TO_BE_REGISTERED"
	case ResponseControllerMasterStillExist:
		return "CONTROLLER_MASTER_STILL_EXIST"
	case ResponseControllerElectMasterFailed:
		return "CONTROLLER_ELECT_MASTER_FAILED"
	case ResponseControllerAlterSyncStateSetFailed:
		return "CONTROLLER_ALTER_SYNC_STATE_SET_FAILED"
	case ResponseControllerBrokerIDInvalid:
		return "CONTROLLER_BROKER_ID_INVALID"
	}
	return "response " + strconv.Itoa(int(code))
}
