package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

func TestDumpAgainst(t *testing.T) {
	one, same, longer := storeOf(t, 3), storeOf(t, 3), storeOf(t, 5)
	var out bytes.Buffer
	if err := compareStores(&out, one, same, false); err != nil || !strings.Contains(out.String(), "0 of 301 bytes that both have differ") || !strings.Contains(out.String(), "equal\n") {
		t.Errorf("two equal stores: %v\n%s", err, &out)
	}
	f, err := vfs.OS(same).Open("commitlog/00000000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("BODY"), 101+88); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := compareStores(&out, one, same, false); exitCode(err, false) != exitViolated ||
		!strings.Contains(out.String(), "4 of 301 bytes that both have differ, in 1 runs\nfirst difference at 189: Orders/3 offset 1, which begins at 101; no valid record") {
		t.Errorf("four bytes of the second record: exit %d\n%s", exitCode(err, false), &out)
	}
	out.Reset()
	err = compareStores(&out, one, longer, true)
	var c store.Comparison
	if jsonErr := json.Unmarshal(out.Bytes(), &c); jsonErr != nil || exitCode(err, false) != exitViolated || c.Differing != 0 || c.Ends != [2]int64{301, 503} {
		t.Errorf("a longer store: exit %d, %v, %+v", exitCode(err, false), jsonErr, c)
	}
	for _, wrong := range []string{"/nonexistent", t.TempDir(), "dump.go"} {
		if err := compareStores(&bytes.Buffer{}, one, wrong, false); exitCode(err, false) != exitUsage {
			t.Errorf("%s: %v, want exit %d", wrong, err, exitUsage)
		}
	}
}
