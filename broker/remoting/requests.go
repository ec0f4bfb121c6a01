package remoting

import "strconv"

// Request codes: what a frame without FlagResponse asks for.
// Source: RequestCode (RocketMQ 5.3.3).
const (
	RequestSendMessage                          int32 = 10
	RequestPullMessage                          int32 = 11
	RequestQueryMessage                         int32 = 12
	RequestQueryBrokerOffset                    int32 = 13
	RequestQueryConsumerOffset                  int32 = 14
	RequestUpdateConsumerOffset                 int32 = 15
	RequestUpdateAndCreateTopic                 int32 = 17
	RequestUpdateAndCreateTopicList             int32 = 18
	RequestGetAllTopicConfig                    int32 = 21
	RequestGetTopicConfigList                   int32 = 22
	RequestGetTopicNameList                     int32 = 23
	RequestUpdateBrokerConfig                   int32 = 25
	RequestGetBrokerConfig                      int32 = 26
	RequestTriggerDeleteFiles                   int32 = 27
	RequestGetBrokerRuntimeInfo                 int32 = 28
	RequestSearchOffsetByTimestamp              int32 = 29
	RequestGetMaxOffset                         int32 = 30
	RequestGetMinOffset                         int32 = 31
	RequestGetEarliestMsgStoreTime              int32 = 32
	RequestViewMessageByID                      int32 = 33
	RequestHeartBeat                            int32 = 34
	RequestUnregisterClient                     int32 = 35
	RequestConsumerSendMsgBack                  int32 = 36
	RequestEndTransaction                       int32 = 37
	RequestGetConsumerListByGroup               int32 = 38
	RequestCheckTransactionState                int32 = 39
	RequestNotifyConsumerIDsChanged             int32 = 40
	RequestLockBatchMQ                          int32 = 41
	RequestUnlockBatchMQ                        int32 = 42
	RequestGetAllConsumerOffset                 int32 = 43
	RequestGetAllDelayOffset                    int32 = 45
	RequestCheckClientConfig                    int32 = 46
	RequestGetClientConfig                      int32 = 47
	RequestGetTimerCheckPoint                   int32 = 60
	RequestGetTimerMetrics                      int32 = 61
	RequestPutKVConfig                          int32 = 100
	RequestGetKVConfig                          int32 = 101
	RequestDeleteKVConfig                       int32 = 102
	RequestRegisterBroker                       int32 = 103
	RequestUnregisterBroker                     int32 = 104
	RequestGetRouteInfoByTopic                  int32 = 105
	RequestGetBrokerClusterInfo                 int32 = 106
	RequestUpdateAndCreateSubscriptionGroup     int32 = 200
	RequestGetAllSubscriptionGroupConfig        int32 = 201
	RequestGetTopicStatsInfo                    int32 = 202
	RequestGetConsumerConnectionList            int32 = 203
	RequestGetProducerConnectionList            int32 = 204
	RequestWipeWritePermOfBroker                int32 = 205
	RequestGetAllTopicListFromNameServer        int32 = 206
	RequestDeleteSubscriptionGroup              int32 = 207
	RequestGetConsumeStats                      int32 = 208
	RequestWhoConsumeTheMessage                 int32 = 214
	RequestDeleteTopicInBroker                  int32 = 215
	RequestDeleteTopicInNameServer              int32 = 216
	RequestRegisterTopicInNameServer            int32 = 217
	RequestGetKVListByNamespace                 int32 = 219
	RequestResetConsumerClientOffset            int32 = 220
	RequestGetConsumerStatusFromClient          int32 = 221
	RequestInvokeBrokerToResetOffset            int32 = 222
	RequestInvokeBrokerToGetConsumerStatus      int32 = 223
	RequestGetTopicsByCluster                   int32 = 224
	RequestUpdateAndCreateSubscriptionGroupList int32 = 225
	RequestQueryTopicConsumeByWho               int32 = 300
	RequestRegisterFilterServer                 int32 = 301
	RequestQueryConsumeTimeSpan                 int32 = 303
	RequestGetSystemTopicListFromNS             int32 = 304
	RequestGetSystemTopicListFromBroker         int32 = 305
	RequestCleanExpiredConsumeQueue             int32 = 306
	RequestGetConsumerRunningInfo               int32 = 307
	RequestQueryCorrectionOffset                int32 = 308
	RequestConsumeMessageDirectly               int32 = 309
	RequestSendMessageV2                        int32 = 310
	RequestGetUnitTopicList                     int32 = 311
	RequestGetHasUnitSubTopicList               int32 = 312
	RequestGetHasUnitSubUnunitTopicList         int32 = 313
	RequestCloneGroupOffset                     int32 = 314
	RequestViewBrokerStatsData                  int32 = 315
	RequestCleanUnusedTopic                     int32 = 316
	RequestGetBrokerConsumeStats                int32 = 317
	RequestUpdateNamesrvConfig                  int32 = 318
	RequestGetNamesrvConfig                     int32 = 319
	RequestSendBatchMessage                     int32 = 320
	RequestQueryConsumeQueue                    int32 = 321
	RequestQueryDataVersion                     int32 = 322
	RequestResumeCheckHalfMessage               int32 = 323
	RequestSendReplyMessage                     int32 = 324
	RequestSendReplyMessageV2                   int32 = 325
	RequestPushReplyMessageToClient             int32 = 326
	RequestAddWritePermOfBroker                 int32 = 327
	RequestGetAllProducerInfo                   int32 = 328
	RequestDeleteExpiredCommitLog               int32 = 329
	RequestQueryTopicsByConsumer                int32 = 343
	RequestQuerySubscriptionByConsumer          int32 = 345
	RequestGetTopicConfig                       int32 = 351
	RequestGetSubscriptionGroupConfig           int32 = 352
	RequestUpdateAndGetGroupForbidden           int32 = 353
	RequestCheckRocksDBCQWriteProgress          int32 = 354
	RequestExportRocksDBConfigToJSON            int32 = 355
	RequestLitePullMessage                      int32 = 361
	RequestRecallMessage                        int32 = 370
	RequestQueryAssignment                      int32 = 400
	RequestSetMessageRequestMode                int32 = 401
	RequestGetAllMessageRequestMode             int32 = 402
	RequestUpdateAndCreateStaticTopic           int32 = 513
	RequestGetBrokerMemberGroup                 int32 = 901
	RequestBrokerHeartbeat                      int32 = 904
	RequestNotifyMinBrokerIDChange              int32 = 905
	RequestExchangeBrokerHAInfo                 int32 = 906
	RequestGetBrokerHAStatus                    int32 = 907
	RequestResetMasterFlushOffset               int32 = 908
	RequestControllerAlterSyncStateSet          int32 = 1001
	RequestControllerElectMaster                int32 = 1002
	RequestControllerRegisterBroker             int32 = 1003
	RequestControllerGetReplicaInfo             int32 = 1004
	RequestControllerGetMetadataInfo            int32 = 1005
	RequestControllerGetSyncStateData           int32 = 1006
	RequestGetBrokerEpochCache                  int32 = 1007
	RequestNotifyBrokerRoleChanged              int32 = 1008
	RequestUpdateControllerConfig               int32 = 1009
	RequestGetControllerConfig                  int32 = 1010
	RequestCleanBrokerData                      int32 = 1011
	RequestControllerGetNextBrokerID            int32 = 1012
	RequestControllerApplyBrokerID              int32 = 1013
	RequestUpdateColdDataFlowCtrConfig          int32 = 2001
	RequestRemoveColdDataFlowCtrConfig          int32 = 2002
	RequestGetColdDataFlowCtrInfo               int32 = 2003
	RequestSetCommitLogReadMode                 int32 = 2004
	RequestAuthCreateUser                       int32 = 3001
	RequestAuthUpdateUser                       int32 = 3002
	RequestAuthDeleteUser                       int32 = 3003
	RequestAuthGetUser                          int32 = 3004
	RequestAuthListUser                         int32 = 3005
	RequestAuthCreateACL                        int32 = 3006
	RequestAuthUpdateACL                        int32 = 3007
	RequestAuthDeleteACL                        int32 = 3008
	RequestAuthGetACL                           int32 = 3009
	RequestAuthListACL                          int32 = 3010
	RequestPopMessage                           int32 = 200050
	RequestAckMessage                           int32 = 200051
	RequestPeekMessage                          int32 = 200052
	RequestChangeMessageInvisibleTime           int32 = 200053
	RequestNotification                         int32 = 200054
	RequestPollingInfo                          int32 = 200055
	RequestPopRollback                          int32 = 200056
	RequestBatchAckMessage                      int32 = 200151
)

// RequestName returns RocketMQ's name of a request code, such as "UPDATE_AND_CREATE_TOPIC", or "request N" for one it does not know.
func RequestName(code int32) string {
	switch code {
	case RequestSendMessage:
		return "SEND_MESSAGE"
	case RequestPullMessage:
		return "PULL_MESSAGE"
	case RequestQueryMessage:
		return "QUERY_MESSAGE"
	case RequestQueryBrokerOffset:
		return "QUERY_BROKER_OFFSET"
	case RequestQueryConsumerOffset:
		return "QUERY_CONSUMER_OFFSET"
	case RequestUpdateConsumerOffset:
		return "UPDATE_CONSUMER_OFFSET"
	case RequestUpdateAndCreateTopic:
		return "UPDATE_AND_CREATE_TOPIC"
	case RequestUpdateAndCreateTopicList:
		return "UPDATE_AND_CREATE_TOPIC_LIST"
	case RequestGetAllTopicConfig:
		return "GET_ALL_TOPIC_CONFIG"
	case RequestGetTopicConfigList:
		return "GET_TOPIC_CONFIG_LIST"
	case RequestGetTopicNameList:
		return "GET_TOPIC_NAME_LIST"
	case RequestUpdateBrokerConfig:
		return "UPDATE_BROKER_CONFIG"
	case RequestGetBrokerConfig:
		return "GET_BROKER_CONFIG"
	case RequestTriggerDeleteFiles:
		return "TRIGGER_DELETE_FILES"
	case RequestGetBrokerRuntimeInfo:
		return "GET_BROKER_RUNTIME_INFO"
	case RequestSearchOffsetByTimestamp:
		return "SEARCH_OFFSET_BY_TIMESTAMP"
	case RequestGetMaxOffset:
		return "GET_MAX_OFFSET"
	case RequestGetMinOffset:
		return "GET_MIN_OFFSET"
	case RequestGetEarliestMsgStoreTime:
		return "GET_EARLIEST_MSG_STORETIME"
	case RequestViewMessageByID:
		return "VIEW_MESSAGE_BY_ID"
	case RequestHeartBeat:
		return "HEART_BEAT"
	case RequestUnregisterClient:
		return "UNREGISTER_CLIENT"
	case RequestConsumerSendMsgBack:
		return "CONSUMER_SEND_MSG_BACK"
	case RequestEndTransaction:
		return "END_TRANSACTION"
	case RequestGetConsumerListByGroup:
		return "GET_CONSUMER_LIST_BY_GROUP"
	case RequestCheckTransactionState:
		return "CHECK_TRANSACTION_STATE"
	case RequestNotifyConsumerIDsChanged:
		return "NOTIFY_CONSUMER_IDS_CHANGED"
	case RequestLockBatchMQ:
		return "LOCK_BATCH_MQ"
	case RequestUnlockBatchMQ:
		return "UNLOCK_BATCH_MQ"
	case RequestGetAllConsumerOffset:
		return "GET_ALL_CONSUMER_OFFSET"
	case RequestGetAllDelayOffset:
		return "GET_ALL_DELAY_OFFSET"
	case RequestCheckClientConfig:
		return "CHECK_CLIENT_CONFIG"
	case RequestGetClientConfig:
		return "GET_CLIENT_CONFIG"
	case RequestGetTimerCheckPoint:
		return "GET_TIMER_CHECK_POINT"
	case RequestGetTimerMetrics:
		return "GET_TIMER_METRICS"
	case RequestPutKVConfig:
		return "PUT_KV_CONFIG"
	case RequestGetKVConfig:
		return "GET_KV_CONFIG"
	case RequestDeleteKVConfig:
		return "DELETE_KV_CONFIG"
	case RequestRegisterBroker:
		return "REGISTER_BROKER"
	case RequestUnregisterBroker:
		return "UNREGISTER_BROKER"
	case RequestGetRouteInfoByTopic:
		return "GET_ROUTEINFO_BY_TOPIC"
	case RequestGetBrokerClusterInfo:
		return "GET_BROKER_CLUSTER_INFO"
	case RequestUpdateAndCreateSubscriptionGroup:
		return "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP"
	case RequestGetAllSubscriptionGroupConfig:
		return "GET_ALL_SUBSCRIPTIONGROUP_CONFIG"
	case RequestGetTopicStatsInfo:
		return "GET_TOPIC_STATS_INFO"
	case RequestGetConsumerConnectionList:
		return "GET_CONSUMER_CONNECTION_LIST"
	case RequestGetProducerConnectionList:
		return "GET_PRODUCER_CONNECTION_LIST"
	case RequestWipeWritePermOfBroker:
		return "WIPE_WRITE_PERM_OF_BROKER"
	case RequestGetAllTopicListFromNameServer:
		return "GET_ALL_TOPIC_LIST_FROM_NAMESERVER"
	case RequestDeleteSubscriptionGroup:
		return "DELETE_SUBSCRIPTIONGROUP"
	case RequestGetConsumeStats:
		return "GET_CONSUME_STATS"
	case RequestWhoConsumeTheMessage:
		return "WHO_CONSUME_THE_MESSAGE"
	case RequestDeleteTopicInBroker:
		return "DELETE_TOPIC_IN_BROKER"
	case RequestDeleteTopicInNameServer:
		return "DELETE_TOPIC_IN_NAMESRV"
	case RequestRegisterTopicInNameServer:
		return "REGISTER_TOPIC_IN_NAMESRV"
	case RequestGetKVListByNamespace:
		return "GET_KVLIST_BY_NAMESPACE"
	case RequestResetConsumerClientOffset:
		return "RESET_CONSUMER_CLIENT_OFFSET"
	case RequestGetConsumerStatusFromClient:
		return "GET_CONSUMER_STATUS_FROM_CLIENT"
	case RequestInvokeBrokerToResetOffset:
		return "INVOKE_BROKER_TO_RESET_OFFSET"
	case RequestInvokeBrokerToGetConsumerStatus:
		return "INVOKE_BROKER_TO_GET_CONSUMER_STATUS"
	case RequestGetTopicsByCluster:
		return "GET_TOPICS_BY_CLUSTER"
	case RequestUpdateAndCreateSubscriptionGroupList:
		return "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST"
	case RequestQueryTopicConsumeByWho:
		return "QUERY_TOPIC_CONSUME_BY_WHO"
	case RequestRegisterFilterServer:
		return "REGISTER_FILTER_SERVER"
	case RequestQueryConsumeTimeSpan:
		return "QUERY_CONSUME_TIME_SPAN"
	case RequestGetSystemTopicListFromNS:
		return "GET_SYSTEM_TOPIC_LIST_FROM_NS"
	case RequestGetSystemTopicListFromBroker:
		return "GET_SYSTEM_TOPIC_LIST_FROM_BROKER"
	case RequestCleanExpiredConsumeQueue:
		return "CLEAN_EXPIRED_CONSUMEQUEUE"
	case RequestGetConsumerRunningInfo:
		return "GET_CONSUMER_RUNNING_INFO"
	case RequestQueryCorrectionOffset:
		return "QUERY_CORRECTION_OFFSET"
	case RequestConsumeMessageDirectly:
		return "CONSUME_MESSAGE_DIRECTLY"
	case RequestSendMessageV2:
		return "SEND_MESSAGE_V2"
	case RequestGetUnitTopicList:
		return "GET_UNIT_TOPIC_LIST"
	case RequestGetHasUnitSubTopicList:
		return "GET_HAS_UNIT_SUB_TOPIC_LIST"
	case RequestGetHasUnitSubUnunitTopicList:
		return "GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST"
	case RequestCloneGroupOffset:
		return "CLONE_GROUP_OFFSET"
	case RequestViewBrokerStatsData:
		return "VIEW_BROKER_STATS_DATA"
	case RequestCleanUnusedTopic:
		return "CLEAN_UNUSED_TOPIC"
	case RequestGetBrokerConsumeStats:
		return "GET_BROKER_CONSUME_STATS"
	case RequestUpdateNamesrvConfig:
		return "UPDATE_NAMESRV_CONFIG"
	case RequestGetNamesrvConfig:
		return "GET_NAMESRV_CONFIG"
	case RequestSendBatchMessage:
		return "SEND_BATCH_MESSAGE"
	case RequestQueryConsumeQueue:
		return "QUERY_CONSUME_QUEUE"
	case RequestQueryDataVersion:
		return "QUERY_DATA_VERSION"
	case RequestResumeCheckHalfMessage:
		return "RESUME_CHECK_HALF_MESSAGE"
	case RequestSendReplyMessage:
		return "SEND_REPLY_MESSAGE"
	case RequestSendReplyMessageV2:
		return "SEND_REPLY_MESSAGE_V2"
	case RequestPushReplyMessageToClient:
		return "PUSH_REPLY_MESSAGE_TO_CLIENT"
	case RequestAddWritePermOfBroker:
		return "ADD_WRITE_PERM_OF_BROKER"
	case RequestGetAllProducerInfo:
		return "GET_ALL_PRODUCER_INFO"
	case RequestDeleteExpiredCommitLog:
		return "DELETE_EXPIRED_COMMITLOG"
	case RequestQueryTopicsByConsumer:
		return "QUERY_TOPICS_BY_CONSUMER"
	case RequestQuerySubscriptionByConsumer:
		return "QUERY_SUBSCRIPTION_BY_CONSUMER"
	case RequestGetTopicConfig:
		return "GET_TOPIC_CONFIG"
	case RequestGetSubscriptionGroupConfig:
		return "GET_SUBSCRIPTIONGROUP_CONFIG"
	case RequestUpdateAndGetGroupForbidden:
		return "UPDATE_AND_GET_GROUP_FORBIDDEN"
	case RequestCheckRocksDBCQWriteProgress:
		return "CHECK_ROCKSDB_CQ_WRITE_PROGRESS"
	case RequestExportRocksDBConfigToJSON:
		return "EXPORT_ROCKSDB_CONFIG_TO_JSON"
	case RequestLitePullMessage:
		return "LITE_PULL_MESSAGE"
	case RequestRecallMessage:
		return "RECALL_MESSAGE"
	case RequestQueryAssignment:
		return "QUERY_ASSIGNMENT"
	case RequestSetMessageRequestMode:
		return "SET_MESSAGE_REQUEST_MODE"
	case RequestGetAllMessageRequestMode:
		return "GET_ALL_MESSAGE_REQUEST_MODE"
	case RequestUpdateAndCreateStaticTopic:
		return "UPDATE_AND_CREATE_STATIC_TOPIC"
	case RequestGetBrokerMemberGroup:
		return "GET_BROKER_MEMBER_GROUP"
	case RequestBrokerHeartbeat:
		return "BROKER_HEARTBEAT"
	case RequestNotifyMinBrokerIDChange:
		return "NOTIFY_MIN_BROKER_ID_CHANGE"
	case RequestExchangeBrokerHAInfo:
		return "EXCHANGE_BROKER_HA_INFO"
	case RequestGetBrokerHAStatus:
		return "GET_BROKER_HA_STATUS"
	case RequestResetMasterFlushOffset:
		return "RESET_MASTER_FLUSH_OFFSET"
	case RequestControllerAlterSyncStateSet:
		return "CONTROLLER_ALTER_SYNC_STATE_SET"
	case RequestControllerElectMaster:
		return "CONTROLLER_ELECT_MASTER"
	case RequestControllerRegisterBroker:
		return "CONTROLLER_REGISTER_BROKER"
	case RequestControllerGetReplicaInfo:
		return "CONTROLLER_GET_REPLICA_INFO"
	case RequestControllerGetMetadataInfo:
		return "CONTROLLER_GET_METADATA_INFO"
	case RequestControllerGetSyncStateData:
		return "CONTROLLER_GET_SYNC_STATE_DATA"
	case RequestGetBrokerEpochCache:
		return "GET_BROKER_EPOCH_CACHE"
	case RequestNotifyBrokerRoleChanged:
		return "NOTIFY_BROKER_ROLE_CHANGED"
	case RequestUpdateControllerConfig:
		return "UPDATE_CONTROLLER_CONFIG"
	case RequestGetControllerConfig:
		return "GET_CONTROLLER_CONFIG"
	case RequestCleanBrokerData:
		return "CLEAN_BROKER_DATA"
	case RequestControllerGetNextBrokerID:
		return "CONTROLLER_GET_NEXT_BROKER_ID"
	case RequestControllerApplyBrokerID:
		return "CONTROLLER_APPLY_BROKER_ID"
	case RequestUpdateColdDataFlowCtrConfig:
		return "UPDATE_COLD_DATA_FLOW_CTR_CONFIG"
	case RequestRemoveColdDataFlowCtrConfig:
		return "REMOVE_COLD_DATA_FLOW_CTR_CONFIG"
	case RequestGetColdDataFlowCtrInfo:
		return "GET_COLD_DATA_FLOW_CTR_INFO"
	case RequestSetCommitLogReadMode:
		return "SET_COMMITLOG_READ_MODE"
	case RequestAuthCreateUser:
		return "AUTH_CREATE_USER"
	case RequestAuthUpdateUser:
		return "AUTH_UPDATE_USER"
	case RequestAuthDeleteUser:
		return "AUTH_DELETE_USER"
	case RequestAuthGetUser:
		return "AUTH_GET_USER"
	case RequestAuthListUser:
		return "AUTH_LIST_USER"
	case RequestAuthCreateACL:
		return "AUTH_CREATE_ACL"
	case RequestAuthUpdateACL:
		return "AUTH_UPDATE_ACL"
	case RequestAuthDeleteACL:
		return "AUTH_DELETE_ACL"
	case RequestAuthGetACL:
		return "AUTH_GET_ACL"
	case RequestAuthListACL:
		return "AUTH_LIST_ACL"
	case RequestPopMessage:
		return "POP_MESSAGE"
	case RequestAckMessage:
		return "ACK_MESSAGE"
	case RequestPeekMessage:
		return "PEEK_MESSAGE"
	case RequestChangeMessageInvisibleTime:
		return "CHANGE_MESSAGE_INVISIBLETIME"
	case RequestNotification:
		return "NOTIFICATION"
	case RequestPollingInfo:
		return "POLLING_INFO"
	case RequestPopRollback:
		return "POP_ROLLBACK"
	case RequestBatchAckMessage:
		return "BATCH_ACK_MESSAGE"
	}
	return "request " + strconv.Itoa(int(code))
}
