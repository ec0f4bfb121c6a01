package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"holdfast/nemesis"
)

// targets returns the brokers that a fault strikes, by their present roles, in the order of the group. What chance decides
// is drawn from seed.
func (c *cell) targets(t nemesis.Target, seed uint64) ([]*Node, error) {
	all := c.Brokers()
	rng := rand.New(rand.NewPCG(seed, 1))
	var nodes []*Node
	switch t {
	case nemesis.All:
		nodes = all
	case nemesis.Master, nemesis.Leader:
		nodes = []*Node{c.Group.Master()}
	case nemesis.Slave:
		nodes = slices.DeleteFunc(slices.Clone(all), func(n *Node) bool { return n.Role != Slave })
	case nemesis.Random:
		nodes = draw(rng, all, 1)
	case nemesis.Minority:
		nodes = draw(rng, all, (len(all)-1)/2)
	case nemesis.Majority:
		nodes = draw(rng, all, len(all)/2+1)
	default:
		return nil, fmt.Errorf("target %q names no broker", t)
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("a group of %d brokers has no %s", len(all), t)
	}
	return nodes, nil
}

// draw picks n of the nodes and keeps their order.
func draw(rng *rand.Rand, nodes []*Node, n int) []*Node {
	chosen := rng.Perm(len(nodes))[:n]
	slices.Sort(chosen)
	var out []*Node
	for _, i := range chosen {
		out = append(out, nodes[i])
	}
	return out
}
