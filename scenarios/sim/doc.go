// Package sim is the world of simulated machines: the broker's and the name server's state machines, the clients' workers and their
// state machine, all as they are, in one loop of virtual time. Connections carry ordered bytes, disks lose what no sync covered, clocks
// drift; whatever chance decides is drawn from one seed, so that a seed is a run: the same events in the same order, on any machine.
//
// It decides nothing about what is right: it makes a history, which the checkers judge as they judge any other.
package sim
