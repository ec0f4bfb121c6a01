package vfs_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"

	"holdfast/broker/vfs"
	"holdfast/broker/vfs/vfstest"
)

// TestMemAgainstOracle holds what a cut leaves of Mem against what follows from the whole history.
func TestMemAgainstOracle(t *testing.T) {
	if os.Getenv("HOLDFAST_LONG") == "" {
		defer checks(t, 800)()
	} else {
		defer checks(t, 100000)()
	}
	for _, model := range []vfs.NamesModel{vfs.Ext4, vfs.Posix} {
		t.Run(fmt.Sprint("names ", model), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				vfstest.Run(t, vfstest.Options{Names: model, Lives: 2}, vfstest.NewOracle(model), vfstest.NewMem())
			})
		})
	}
}

// checks has rapid draw n sequences until the result is called.
func checks(t *testing.T, n int) func() {
	before := flag.Lookup("rapid.checks").Value.String()
	set := func(v string) {
		if err := flag.Set("rapid.checks", v); err != nil {
			t.Fatal(err)
		}
	}
	set(fmt.Sprint(n))
	return func() { set(before) }
}
