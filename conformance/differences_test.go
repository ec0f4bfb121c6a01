package conformance

// differences says how the reference broker is not as Apache's: by case, command or request, a line for docs/compat.md.
var differences = map[string]string{
	"UPDATE_BROKER_CONFIG":            "16 for a key that does not change at run time, such as maxMessageSize",
	"own-admin":                       "the groups that Apache's broker has from the start, such as TOOLS_CONSUMER, are made here when they are first used",
	"mqadmin brokerStatus":            "commitLogDiskRatio and consumeQueueDiskRatio are missing",
	"mqadmin clusterList":             "the version is that of holdfast; 4.9.7 shows an exception beside Apache's 5.5.0, which spells a key otherwise, and none here",
	"mqadmin consumerProgress":        "the group's retry topic is listed before anything was read of it",
	"mqadmin getBrokerConfig":         "keys without a meaning here are missing",
	"mqadmin getBrokerConfig again":   "maxMessageSize does not change at run time",
	"mqadmin updateBrokerConfig":      "maxMessageSize does not change at run time",
	"mqadmin updateBrokerConfig back": "maxMessageSize does not change at run time",
}
