package client

import (
	"bytes"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// remarkReplicas begins the remark of IN_SYNC_REPLICAS_NOT_ENOUGH. Source: SendMessageProcessor.handlePutMessageResult.
var remarkReplicas = []byte("in-sync replicas not enough")

// classify says what a response code to a send means for the message.
//
// Acknowledged: stored, whatever was not waited for. Fail: only codes that every version gives before the append, so that
// the message cannot be in any log. All else is Info, codes that nobody has seen yet included.
// Source: SendMessageProcessor, BrokerFastFailure, HookUtils.checkBeforePutMessage (RocketMQ 4.9.8, 5.3.3).
func classify(code int32, remark []byte, quorum bool) (driver.Kind, driver.Status) {
	switch code {
	case remoting.ResponseSuccess:
		return driver.OK, driver.SendOK
	case remoting.ResponseFlushDiskTimeout:
		return driver.OK, driver.FlushDiskTimeout
	case remoting.ResponseFlushSlaveTimeout:
		return driver.OK, driver.FlushSlaveTimeout
	case remoting.ResponseSlaveNotAvailable:
		return driver.OK, driver.SlaveNotAvailable
	case remoting.ResponseSystemError:
		// Classic and controller brokers check before the append; DLedger says the same after a quorum timeout.
		if !quorum && bytes.HasPrefix(remark, remarkReplicas) {
			return driver.Fail, driver.NoStatus
		}
		return driver.Info, driver.NoStatus
	case remoting.ResponseServiceNotAvailable: // slave, shut down, disk full: the put hook
		// A DLedger leader that is one no longer says it of what it has appended, too, and its entry may yet win.
		if quorum {
			return driver.Info, driver.NoStatus
		}
		return driver.Fail, driver.NoStatus
	case remoting.ResponseSystemBusy, // not taken from the queue, or refused by the put hook
		remoting.ResponseRequestCodeNotSupported,
		remoting.ResponseMessageIllegal,
		remoting.ResponseVersionNotSupported,
		remoting.ResponseNoPermission,
		remoting.ResponseTopicNotExist,
		remoting.ResponseInvalidParameter,
		remoting.ResponseFlowControl,
		remoting.ResponseNotLeaderForQueue,
		remoting.ResponseIllegalOperation,
		remoting.ResponseGoAway: // a broker that shuts down refuses requests unread
		return driver.Fail, driver.NoStatus
	}
	return driver.Info, driver.NoStatus
}

// classifyPoll says what a response code to a pull means.
func classifyPoll(code int32) driver.Kind {
	switch code {
	case remoting.ResponseSuccess, remoting.ResponsePullNotFound, remoting.ResponsePullRetryImmediately, remoting.ResponsePullOffsetMoved:
		return driver.OK
	}
	return driver.Fail
}

// RemoteError is a refusal by the system under test: its code, and the bracketed word at the front of its remark if
// there is one. Free text is left out: the number of different errors must stay small.
type RemoteError struct {
	Code int32
	Word string // such as "[REJECTREQUEST]"; may be empty
}

// Error returns the code's name in RocketMQ and the word.
func (e *RemoteError) Error() string {
	if e.Word == "" {
		return remoting.ResponseName(e.Code)
	}
	return remoting.ResponseName(e.Code) + " " + e.Word
}

// remoteErrorsMax bounds the errors that are told apart.
const remoteErrorsMax = 64

// remoteErrors holds every error that occurred, so that equal refusals are one value.
type remoteErrors struct{ seen []*RemoteError }

// of returns the error of a code and remark.
func (l *remoteErrors) of(code int32, remark []byte) error {
	word := bracketed(remark)
	for _, e := range l.seen {
		if e.Code == code && e.Word == string(word) {
			return e
		}
	}
	if len(l.seen) >= remoteErrorsMax {
		return l.seen[len(l.seen)-1]
	}
	e := &RemoteError{Code: code, Word: string(word)}
	l.seen = append(l.seen, e)
	return e
}

// bracketed returns the "[WORD]" at the front of a remark, or nothing.
func bracketed(remark []byte) []byte {
	end := bytes.IndexByte(remark, ']')
	if len(remark) == 0 || remark[0] != '[' || end < 0 || end > 40 {
		return nil
	}
	return remark[:end+1]
}
