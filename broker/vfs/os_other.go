//go:build !linux

package vfs

import "os"

func syncData(f *os.File) error { return f.Sync() }

// lockFile takes no lock: only Linux has one that belongs to the open file. Stores on other systems are for simulation.
func lockFile(*os.File) error { return nil }
