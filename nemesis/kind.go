package nemesis

// TakesDown reports whether processes of nodes end by the fault, for good or one after the other.
func (k Kind) TakesDown() bool { return k.Stops() || k == Restart || k == Upgrade }

// OfNetwork reports whether the fault is done to packets.
func (k Kind) OfNetwork() bool {
	switch k {
	case Partition, Delay, Loss, Duplicate, Reorder, Bandwidth, Clog:
		return true
	}
	return false
}

// OfDisk reports whether the fault is done to the calls of a disk, while its node runs.
func (k Kind) OfDisk() bool {
	switch k {
	case FsyncError, FsyncSlow, WriteError, ReadError, DiskFull:
		return true
	}
	return false
}

// OfClock reports whether the fault is done to a node's wall clock.
func (k Kind) OfClock() bool { return k == ClockJump || k == ClockDrift }
