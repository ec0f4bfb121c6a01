package broker

import (
	"holdfast/broker/remoting"
)

// sendBack serves CONSUMER_SEND_MSG_BACK: it is not offered, and says so.
func (n *Node) sendBack(c ConnID, f *remoting.Frame, out *Output) {
	n.refuse(c, f, remoting.ResponseRequestCodeNotSupported, "not supported", out)
}
