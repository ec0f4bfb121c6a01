package conformance

// added is what Apache's broker adds to the properties of a message.
const added = "the properties CLUSTER, MSG_REGION and TRACE_ON are not stored, the reply has no transactionId"

// differences says how the reference broker is not as Apache's: by case, command or request, a line for docs/compat.md.
var differences = map[string]string{
	"send-long-names":   added,
	"send-sync":         added,
	"send-async":        added,
	"send-batch":        added,
	"send-binary":       added,
	"send-ordered":      added,
	"send-compressed":   added,
	"send-properties":   added,
	"retry":             added,
	"dead-letters":      added + "; DELAY is taken away",
	"send-delay-levels": added + "; DELAY is taken away, the reply names the queue of the level",
	"send-too-long":     "code 13 with another remark",
	"pull":              "code 29 with another remark",
	"request-reply":     "no replies",
	"search-by-time":    "GET_EARLIEST_MSG_STORETIME is refused",
	"query":             "nothing is found: there is no index",
}
