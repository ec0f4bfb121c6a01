//go:build !linux

package server

// memoryBytes returns the size of the machine's memory; 0 when the system does not tell.
func memoryBytes() int64 { return 0 }
