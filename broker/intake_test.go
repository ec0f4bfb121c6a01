package broker

import (
	"strings"
	"testing"

	"holdfast/broker/remoting"
)

// TestHeartbeatsAreReadByTheIntake: what a Step does with a heartbeat needs none of its bytes, which may be a megabyte.
func TestHeartbeatsAreReadByTheIntake(t *testing.T) {
	r := boundsRig(t, func(*Limits) {})
	h := remoting.Heartbeat{ClientID: "c", Producers: []string{"p"}, Consumers: []remoting.ConsumerData{{Group: "g", Type: remoting.ConsumePassively, Model: remoting.Clustering,
		Subscriptions: []remoting.Subscription{{Topic: "U", Expression: "*"}, {Topic: "T", Expression: "a"}}}}}
	frame := r.frame(remoting.RequestHeartBeat, nil, h.Append(nil))
	requests, _, err := r.node.Intake("127.0.0.1:50000").Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	for i := range requests[0].Frame.Body {
		requests[0].Frame.Body[i] = '?'
	}
	if got := r.step(&Event{Kind: KindReceived, Conn: 1, Requests: requests}); !strings.Contains(got, "SUCCESS") {
		t.Fatal(got)
	}
	g := r.node.groups.get([]byte("g"))
	if g == nil || len(g.clients) != 1 || g.clients[0].id != "c" || len(g.data.Subscriptions) != 2 || g.data.Subscriptions[0].Topic != "T" {
		t.Errorf("the group is %+v; want client c with T and U", g)
	}
	if at, found := r.node.producers.find("p"); !found || r.node.producers.sorted[at].find("c") == nil {
		t.Error("c is no producer of p")
	}
}
