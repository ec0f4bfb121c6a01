// Package message turns messages into RocketMQ's commit-log records and back: record, client batch, properties, ids.
//
// It knows no file and no queue: which offsets a record gets is the store's matter, which writes them with Patch once it
// has assigned them. Decoding never copies and never panics; what it returns aliases the input.
package message
