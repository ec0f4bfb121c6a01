// Package cluster starts, configures and watches the real processes of one broker group: name server, master and slave, of
// the reference broker or of Apache RocketMQ. It knows how each system is configured, when it is ready and when a slave
// has caught up. It injects no faults (package nemesis does), sends no load and judges nothing.
package cluster
