package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// command is one command of mqadmin: a row of docs/compat.md.
type command struct {
	name string
	args []string // beside -n
	want string   // regular expression of what its output must hold, whatever Apache's broker says
	keep string   // lines of its output that are compared; empty: all
}

// begunAnew is what the running consumer does after resetOffsetByTime.
const begunAnew = "mqadmin resetOffsetByTime and its consumer"

// adminStage is what the commands are about.
type adminStage struct {
	client, topic, made, group string
	at                         place
	unique, offsetID           string
}

// commands returns the commands in their order: each finds what those before it did.
func (a *adminStage) commands() []command {
	return []command{
		{"consumerProgress", []string{"-g", a.group}, a.topic + `\s+a\s+0\s+3\s+3\s`, ""}, // within 15 s of the consumer's start: then its pulls of the retry topic end, and it commits 0
		{"updateTopic", []string{"-c", "holdfast", "-t", a.made, "-r", "3", "-w", "3"}, "create topic to .* success", ""},
		{"topicList", nil, a.made, "^(" + a.made + "|" + a.topic + ")$"},
		{"topicRoute", []string{"-t", a.made}, `"readQueueNums": ?3`, ""},
		{"topicStatus", []string{"-t", a.topic}, `a\s+0\s+0\s+3`, ""},
		{"clusterList", nil, `holdfast\s+a\s+0`, ""},
		{"brokerStatus", []string{"-b", a.at.master}, `brokerVersionDesc`, "^(bootTimestamp|brokerActive|commitLogMinOffset|commitLogMaxOffset|putTps|getFoundTps|getMissTps|runtime|" +
			"sendThreadPoolQueueSize|msgPutTotalTodayNow|putMessageTimesTotal|earliestMessageTimeStamp|consumeQueueDiskRatio|commitLogDiskRatio|dispatchBehindBytes|pullThreadPoolQueueSize) "},
		{"getBrokerConfig", []string{"-b", a.at.master}, `brokerName\s+=\s+a`, "^(brokerName|brokerClusterName|brokerId|brokerRole|flushDiskType|slaveReadEnable|autoCreateTopicEnable|maxMessageSize|" +
			"fileReservedTime|messageIndexEnable|defaultTopicQueueNums|autoCreateSubscriptionGroup) "},
		{"updateBrokerConfig", []string{"-b", a.at.master, "-k", "maxMessageSize", "-v", "4194305"}, "update broker config success", ""},
		{"getBrokerConfig again", []string{"-b", a.at.master}, `maxMessageSize\s+=\s+4194305`, "^maxMessageSize "},
		{"updateBrokerConfig back", []string{"-b", a.at.master, "-k", "maxMessageSize", "-v", "4194304"}, "update broker config success", ""},
		{"consumerConnection", []string{"-g", a.group}, `(?s)@witness.*` + a.topic, ""},
		{"producerConnection", []string{"-g", "producers", "-t", a.topic}, "@witness", "JAVA V" + strings.ReplaceAll(strings.TrimPrefix(a.client, "mqadmin-"), ".", "_")},
		{"queryMsgById", a.byID(), a.topic, ""},
		{"queryMsgByKey", []string{"-t", a.topic, "-k", "adminkey"}, a.unique, ""},
		{"queryMsgByUniqueKey", []string{"-t", a.topic, "-i", a.unique}, a.topic, ""},
		{"queryMsgByOffset", []string{"-t", a.topic, "-b", "a", "-i", "0", "-o", "0"}, a.topic, ""},
		{"resetOffsetByTime", []string{"-g", a.group, "-t", a.topic, "-s", "0", "-f", "true"}, `a\s+0\s+0`, ""},
		{"updateSubGroup", []string{"-b", a.at.master, "-g", "made-" + a.group, "-r", "3"}, "create subscription group to .* success", ""},
		{"updateKvConfig", []string{"-s", "namespace", "-k", "key", "-v", "value"}, "create or update kv config to namespace success", ""},
		{"updateOrderConf", []string{"-t", a.made, "-m", "put", "-v", "a:3"}, "update orderConf success", ""},
		{"updateOrderConf get", []string{"-t", a.made, "-m", "get"}, "a:3", ""},
		{"wipeWritePerm", []string{"-b", "a"}, "wipe write perm of broker", "^$"},
		{"topicRoute without write permission", []string{"-t", a.made}, `"perm": ?4`, ""},
		{"addWritePerm", []string{"-b", "a"}, "add write perm of broker", "^$"},
		{"topicRoute with it again", []string{"-t", a.made}, `"perm": ?6`, ""},
		{"deleteTopic", []string{"-c", "holdfast", "-t", a.made}, "delete topic .* success", ""},
		{"topicList without it", nil, a.topic, "^(" + a.made + "|" + a.topic + ")$"},
	}
}

// byID are the arguments of queryMsgById: 5.5.0 wants the topic, too, which 4.9.7 does not know.
func (a *adminStage) byID() []string {
	if a.client == "mqadmin-4.9.7" {
		return []string{"-i", a.offsetID}
	}
	return []string{"-i", a.offsetID, "-t", a.topic}
}

// adminGroup is the group of the consumer that mqadmin finds running.
func adminGroup(client string) string { return "group-admin-" + mark(client) }

// mqadminCommands runs all commands of a version, and returns what they said, made comparable, by command.
func mqadminCommands(t *testing.T, w *world, j *witness, version string) map[string]any {
	client := "mqadmin-" + version
	a := &adminStage{client: client, topic: adminTopic("java-" + version), made: "Made_" + mark(client), group: adminGroup("java-" + version), at: w.seenBy(client)}
	own := w.seenBy("java-" + version)
	about := []string{"ns=" + own.namesrv, "broker=a", "topic=" + a.topic, "group=" + a.group}
	for range 3 {
		sent := j.run("send-for-query", about...)
		a.unique, a.offsetID = fmt.Sprint(sent["unique"]), asSeen(fmt.Sprint(sent["offset id"]), own.master, a.at.master)
	}
	if got := fmt.Sprint(j.run("start", append(about, "count=3")...)["bodies"]); got != "[asked for asked for asked for]" {
		t.Errorf("%s: the consumer got %s before any command", client, got)
	}
	j.run("persist", about...)
	time.Sleep(2 * time.Second) // the producer's heartbeat reaches the broker, the index is written
	saw := map[string]any{}
	for _, c := range a.commands() {
		verb, _, _ := strings.Cut(c.name, " ")
		words := append([]string{verb, "-n", a.at.namesrv}, c.args...)
		for i := range words {
			words[i] = "arg=" + words[i]
		}
		out := fmt.Sprint(j.run("mqadmin", words...)["out"])
		if !regexp.MustCompile("(?m)"+c.want).MatchString(out) && differences["mqadmin "+c.name] == "" && !strings.Contains(out, "is not supported") {
			t.Errorf("%s %s: nothing matches %s in\n%s", client, c.name, c.want, out)
		}
		saw["mqadmin "+c.name] = comparable(out, c.keep)
	}
	saw[begunAnew] = j.run("await", append(about, "count=6")...)
	j.run("stop", about...)
	return saw
}

// asSeen returns an offset id with the broker's address as another client sees it.
func asSeen(id, from, to string) string {
	return strings.Replace(id, string(replacements(from, to)[1][0]), string(replacements(from, to)[1][1]), 1)
}

// volatile are parts of mqadmin's output that differ by run: what they become.
var volatile = []struct {
	form *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`(?m)^(\s+at |\s+\.\.\. |For more information|Caused by: ).*\n`), ""},
	{regexp.MustCompile(`(?m)^.*(WARNING|SLF4J|RocketMQLog|log4j).*\n`), ""},
	{regexp.MustCompile(`/?\d+\.\d+\.\d+\.\d+:\d+`), "ADDR"},
	{regexp.MustCompile(`\S+@witness[\d-]+`), "CLIENT"},
	{regexp.MustCompile(`\b[0-9A-F]{32,}\b`), "ID"},
	{regexp.MustCompile(`(?m)^\d{4} +CLIENT`), "CLIENT"},
	{regexp.MustCompile(`(?m)(CommitLog Offset:\s+|@)\d+\s*$`), "${1}N"},
	{regexp.MustCompile(`(?m)^(\w*(Tps|Total\w*|MaxOffset|[rR]untime|QueueSize|Ratio|Bytes))\s+:.*$`), "$1 : N"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T#]\d\d:\d\d:\d\d([:,.]\d+)?`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DAY"},
	{regexp.MustCompile(`\b\d{9,}\b`), "N"},
	{regexp.MustCompile(`\d+\.\d+`), "F"},
	{regexp.MustCompile(`\b(F )+F\b`), "F"},
	{regexp.MustCompile(`\b\d+ ms\b|cost: \d+`), "MS"},
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(`-{3,}`), "---"},
}

var propertiesForm = regexp.MustCompile(`Properties: \{.*\}`)

// comparable returns the lines of an output that are compared, without what differs by run.
func comparable(out, keep string) any {
	for _, v := range volatile {
		out = v.form.ReplaceAllString(out, v.as)
	}
	out = propertiesForm.ReplaceAllStringFunc(out, func(s string) string { // a map of Java has no order
		parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "Properties: {"), "}"), ", ")
		slices.Sort(parts)
		return "Properties: {" + strings.Join(parts, ", ") + "}"
	})
	lines := []string{}
	for _, line := range strings.Split(out, "\n") {
		line = strings.TrimSpace(line)
		if kept, err := regexp.MatchString(keep, line); line != "" && err == nil && kept {
			lines = append(lines, line)
		}
	}
	if keep != "" {
		slices.Sort(lines)
		lines = slices.Compact(lines)
	}
	return lines
}
