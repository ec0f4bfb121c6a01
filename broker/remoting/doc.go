// Package remoting turns RocketMQ's frames, headers and management bodies into structs and back: bytes only.
//
// It knows no socket, no clock and no meaning: which request is legal now, who answers it and what is stored is the
// broker's matter. Decoding never copies and never panics whatever the bytes are; what it returns aliases the input, so
// it lives as long as the caller leaves that buffer alone. The headers of sends, pulls and their replies are scanned and
// appended without maps, reflection or allocation; everything else favours short code.
//
// Frames: Decode, Append. Building with a typed header: Begin, the header's Append, Writer.Finish. Headers: a struct a
// request kind with a Parse and an Append. Bodies: a struct each with ParseX and Append.
package remoting
