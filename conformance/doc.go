// Package conformance holds the reference broker against Apache's own clients, of Go and of Java. It is a module of its own, so that the
// client and what it needs never reach the binary; it shares no code with the broker, and knows only its command.
package conformance
