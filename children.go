package main

import (
	"holdfast/nemesis/disk"
	"holdfast/scenarios/cluster/sandbox"
)

// child runs this process as what a holdfast process started it as, if it did: the init of a sandbox, a disk process.
// It returns what to exit with.
func child() (code int, ok bool) {
	if code, ok := disk.Main(); ok {
		return code, true
	}
	return sandbox.Main()
}
