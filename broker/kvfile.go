package broker

import (
	"errors"
	"fmt"
	"io/fs"

	"holdfast/broker/route"
	"holdfast/broker/vfs"
)

// kvName is the file of a name server's KV table, with RocketMQ's name and contents.
const kvName = "kvConfig.json"

// kvFile keeps the KV table of a name server in a file. Who changes it is answered when the file holds the change, or cannot.
// Source: KVConfigManager.persist (RocketMQ 5.3.3).
type kvFile struct {
	kept    bool
	version int // of the table in the last save
	saving  bool
	wait    []Reply // for the save that is running
	later   []Reply // for the one after it
}

func (k *kvFile) load(registry *route.Registry, fsys vfs.FS) error {
	if fsys == nil {
		return nil
	}
	k.kept = true
	contents, err := vfs.ReadFile(fsys, kvName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = registry.SetKV(contents)
	}
	if err != nil {
		return fmt.Errorf("broker: read %s: %w", kvName, err)
	}
	return nil
}

// changed holds the answer to a request that changed the table, and reports whether it did.
func (k *kvFile) changed(registry *route.Registry, answer Reply, out *Output) bool {
	if !k.kept || registry.KVChanges() == k.version {
		return false
	}
	k.version = registry.KVChanges()
	k.later = append(k.later, answer)
	k.save(registry, out)
	return true
}

func (k *kvFile) save(registry *route.Registry, out *Output) {
	if k.saving || len(k.later) == 0 {
		return
	}
	k.saving, k.wait, k.later = true, k.later, nil
	out.Saves = append(out.Saves, Save{Name: kvName, Bytes: registry.KV()})
}

func (k *kvFile) saved(err error, registry *route.Registry, out *Output) {
	if err != nil { // as RocketMQ: the change holds until the process ends
		note(out, true, "save of %s: %v", kvName, err)
	}
	for _, r := range k.wait {
		if len(r.Frame) > 0 {
			out.Replies = append(out.Replies, r)
		}
	}
	k.saving, k.wait = false, nil
	k.save(registry, out)
}
