package nemesis

// Kinds lists every kind of fault, in the order of the catalogue.
var Kinds = []Kind{
	Kill, Pause, Stop, Restart, Upgrade, Promote, Power, DiskLost,
	Partition, Delay, Loss, Duplicate, Reorder, Bandwidth, Clog,
	FsyncError, FsyncSlow, WriteError, ReadError, DiskFull, BitFlip,
	ClockJump, ClockDrift,
}

// Stops reports whether the fault stops processes of nodes: it then has a recovery.
func (k Kind) Stops() bool {
	switch k {
	case Kill, Stop, Restart, Upgrade, Promote, Power, DiskLost, BitFlip:
		return true
	}
	return false
}

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
