package message

import (
	"strconv"
	"time"
)

// ScheduleTopic holds delayed messages, each level in a queue of its own. Source: TopicValidator.RMQ_SYS_SCHEDULE_TOPIC.
const ScheduleTopic = "SCHEDULE_TOPIC_XXXX"

// Delays are what the delay levels 1 to 18 mean (messageDelayLevel). A level beyond the last means the last.
var Delays = [...]time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	1 * time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute, 6 * time.Minute, 7 * time.Minute,
	8 * time.Minute, 9 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
}

// UnitTags returns what the consume queue says of a message that was stored at a time (Unix ms): its tags code, or in ScheduleTopic
// the time at which it is to be delivered, by which RocketMQ delivers it.
// Source: CommitLog.checkMessageAndReturnSize (RocketMQ 5.3.3).
func UnitTags(topic, properties []byte, stored int64) int64 {
	if string(topic) != ScheduleTopic {
		return TagsCode(properties)
	}
	text, _ := Property(properties, PropertyDelay)
	level, err := strconv.Atoi(string(text))
	if err != nil || level < 1 {
		return TagsCode(properties)
	}
	return stored + Delays[min(level, len(Delays))-1].Milliseconds()
}
