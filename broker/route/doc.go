// Package route is the name server's registry: which brokers live, which topics they have, and how clients find them.
//
// It is a pure state machine: the caller hands in the time, the connection and the frame; nothing here waits, expires or
// answers by itself. Equal events in equal order give equal bytes: every list that leaves is sorted. It keeps no file: a
// name server that restarts learns everything from the brokers' next registrations.
// Source: RouteInfoManager, KVConfigManager, DefaultRequestProcessor of the name server (RocketMQ 5.3.3).
package route
