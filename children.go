package main

import (
	"fmt"
	"os"

	"holdfast/nemesis/disk"
	"holdfast/nemesis/leftover"
	"holdfast/nemesis/network"
	"holdfast/scenarios/cluster/sandbox"
)

// child runs this process as what a holdfast process started it as, if it did: the init of a sandbox, a disk
// process, a packet switch.
// It returns what to exit with. Else it marks this process as the beginning of a run, by which doctor --clean knows later
// what a killed run has left.
func child() (code int, ok bool) {
	if code, ok := disk.Main(); ok {
		return code, true
	}
	if code, ok := network.Main(); ok {
		return code, true
	}
	if code, ok := sandbox.Main(); ok {
		return code, true
	}
	if err := leftover.Mark(); err != nil { // the run itself does not need it
		fmt.Fprintln(os.Stderr, "holdfast: doctor --clean will not know this run:", err)
	}
	return 0, false
}
