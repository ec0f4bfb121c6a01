package server

import "syscall"

// memoryBytes returns the size of the machine's memory; 0 when the system does not tell.
func memoryBytes() int64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
