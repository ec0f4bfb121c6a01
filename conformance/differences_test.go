package conformance

// differences says how the reference broker is not as Apache's: by case, command or request, a line for docs/compat.md.
var differences = map[string]string{
	"mqadmin clusterList":     "the version is that of holdfast; 4.9.7 shows an exception beside Apache's 5.5.0, which spells a key otherwise, and none here",
	"mqadmin getBrokerConfig": "keys without a meaning here are missing, such as messageIndexEnable",
}
