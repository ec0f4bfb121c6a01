package store

import (
	"fmt"
	"strconv"
	"time"

	"holdfast/broker/vfs"
)

// An index file finds messages by topic and key. It is a hash table of chains: a header, a table of slots, each with the
// number of the newest entry of its hash, and the entries in the order of the log, each with the number of the entry
// before it in its slot. Entries are numbered from 1. All but the newest file of a store are full and never change.
// Source: IndexFile, IndexHeader (RocketMQ 5.3.3).
const (
	keyDir         = "index"
	keyHeaderBytes = 40
	keySlotBytes   = 4
	keyEntryBytes  = 20
	keyNameDigits  = 17 // yyyyMMddHHmmssSSS
)

// keyLayout is the size of index files. Its zero value: there are none.
type keyLayout struct {
	slots   int32 // maxHashSlotNum
	entries int32 // maxIndexNum: one more than a file has room for
}

func (l keyLayout) fileBytes() int64 { return l.entryAt(l.entries) }

func (l keyLayout) slotAt(slot int32) int64 { return keyHeaderBytes + keySlotBytes*int64(slot) }

func (l keyLayout) entryAt(n int32) int64 {
	return keyHeaderBytes + keySlotBytes*int64(l.slots) + keyEntryBytes*int64(n)
}

// packed is the layout in one number, for the checkpoint.
func (l keyLayout) packed() int64 { return int64(l.slots)<<32 | int64(l.entries) }

// keyFile is the header of an index file, and its name.
type keyFile struct {
	name      int64 // the time of its first entry, in UTC, as a number of 17 digits
	begin     int64 // store times of the first and the last message, Unix ms
	end       int64
	beginPhys int64 // physical offsets of the first and the last message
	endPhys   int64
	used      int32 // slots with entries
	count     int32 // number of the next entry
}

func (f *keyFile) path() string { return fmt.Sprintf("%s/%0*d", keyDir, keyNameDigits, f.name) }

func (f *keyFile) encode() []byte {
	b := make([]byte, 0, keyHeaderBytes)
	for _, v := range []int64{f.begin, f.end, f.beginPhys, f.endPhys} {
		b = be.AppendUint64(b, uint64(v))
	}
	b = be.AppendUint32(b, uint32(f.used))
	return be.AppendUint32(b, uint32(f.count))
}

// decode reads the header, and says whether it can be one of a file with that layout.
func (f *keyFile) decode(b []byte, l keyLayout) bool {
	for i, field := range []*int64{&f.begin, &f.end, &f.beginPhys, &f.endPhys} {
		*field = int64(be.Uint64(b[8*i:]))
	}
	f.used, f.count = int32(be.Uint32(b[32:])), int32(be.Uint32(b[36:]))
	f.count = max(f.count, 1)
	return f.count <= l.entries && f.used >= 0 && f.used <= l.slots && f.beginPhys >= 0 && f.beginPhys <= f.endPhys
}

// keyEntry is one entry.
type keyEntry struct {
	hash int32
	phys int64 // physical offset of the message
	diff int32 // store time: s since the first message of the file
	prev int32 // number of the entry before it in its slot, 0: none
}

func (e *keyEntry) put(b []byte) {
	be.PutUint32(b, uint32(e.hash))
	be.PutUint64(b[4:], uint64(e.phys))
	be.PutUint32(b[12:], uint32(e.diff))
	be.PutUint32(b[16:], uint32(e.prev))
}

func readKeyEntry(b []byte) keyEntry {
	return keyEntry{int32(be.Uint32(b)), int64(be.Uint64(b[4:])), int32(be.Uint32(b[12:])), int32(be.Uint32(b[16:]))}
}

// readEntry reads entry n of a file.
func (l keyLayout) readEntry(f vfs.File, n int32) (keyEntry, error) {
	var b [keyEntryBytes]byte
	if got, err := f.ReadAt(b[:], l.entryAt(n)); got < len(b) {
		return keyEntry{}, err
	}
	return readKeyEntry(b[:]), nil
}

// keyFileName returns the name of an index file whose first message has that store time (Unix ms). It is larger than last,
// the name of the file before it. Names of Apache RocketMQ are in the local time of its machine.
func keyFileName(ms, last int64) int64 {
	for {
		name := number(time.UnixMilli(ms).UTC().Format("20060102150405"))*1000 + (ms%1000+1000)%1000
		if name > last || last > 99991231000000000 {
			return max(name, last+1)
		}
		at, err := time.Parse("20060102150405", strconv.FormatInt(last/1000, 10))
		if err != nil {
			return last + 1
		}
		ms = max(ms, at.UnixMilli()+last%1000) + 1
	}
}

func number(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// listKeyFiles returns the names of the index files, sorted; what has another name is none. Without a directory there are none.
func listKeyFiles(fsys vfs.FS) (names []int64, err error) {
	list, err := fsys.List(keyDir)
	if isNotExist(err) {
		return nil, nil
	}
	for _, name := range list {
		if n := number(name); n > 0 && len(name) == keyNameDigits {
			names = append(names, n)
		}
	}
	return names, err
}
