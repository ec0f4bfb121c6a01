package server

import (
	"fmt"
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
)

// TestTheRouteIsThereAfterTheFirstSend: whoever has the answer to a send that made its topic finds the route at every name server.
func TestTheRouteIsThereAfterTheFirstSend(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	var names []*client
	for range 2 {
		n, err := StartNameServer(t.Context(), Config{Listen: "127.0.0.1:0", Log: quiet}, route.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		cfg.Node.NameServers = append(cfg.Node.NameServers, n.Addr())
		names = append(names, dial(t, n.Addr()))
	}
	c := dial(t, mustStart(t, cfg).Addr())
	for i := range 40 {
		topic := fmt.Sprint("T", i)
		code, _ := c.send(topic, 0, "m")
		want(t, "code", code, remoting.ResponseSuccess)
		for j, n := range names {
			if f := n.call(remoting.RequestGetRouteInfoByTopic, func(w *remoting.Writer) { w.String("topic", topic) }, nil); f.Code != remoting.ResponseSuccess {
				t.Fatalf("%s at name server %d: %s %s", topic, j, f.CodeName(), f.Remark)
			}
		}
	}
}
