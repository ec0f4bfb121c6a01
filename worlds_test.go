package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"holdfast/nemesis"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/cluster/sandbox"
)

// TestEveryKindOfFaultHasAVerdict reads the kinds from the source of package nemesis: doctor must know each, once.
func TestEveryKindOfFaultHasAVerdict(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "nemesis/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Kind" {
			kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, kind)
		}
		return true
	})
	got := []string{string(nemesis.None)} // nothing has to be possible for it
	seen := worldOf(cluster.Loopback{}, nil)
	got = append(got, seen.Faults...)
	for _, f := range seen.Impossible {
		got = append(got, f.Fault)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) < 20 {
		t.Errorf("doctor knows %v\nof %v", got, want)
	}
}

// TestSandboxWithoutDevices holds what is said of a machine that lacks something: the fault that needs it is not possible, with that
// reason and its remedy, whatever else is not built.
func TestSandboxWithoutDevices(t *testing.T) {
	noFUSE := &sandbox.Impossible{Reason: "open /dev/fuse: no such file", Fix: "modprobe fuse"}
	noTUN := &sandbox.Impossible{Reason: "open /dev/net/tun: no such file", Fix: "modprobe tun"}
	noSpaces := &sandbox.Impossible{Reason: "no new namespaces", Fix: "sysctl"}
	for _, tt := range []struct {
		says             string
		can              sandbox.Abilities
		possible         bool
		power, partition *sandbox.Impossible // why not; nil: whatever the world itself says
	}{
		{"everything", sandbox.Abilities{}, true, nil, nil},
		{"no TUN: power cuts, but no partitions", sandbox.Abilities{Network: noTUN}, true, nil, noTUN},
		{"no FUSE: no power cuts, and no stores for anything else", sandbox.Abilities{Disks: noFUSE}, false, noFUSE, noFUSE},
		{"neither: each for its own reason", sandbox.Abilities{Disks: noFUSE, Network: noTUN}, false, noFUSE, noTUN},
		{"no namespaces", sandbox.Abilities{Namespaces: noSpaces, Disks: noSpaces, Network: noSpaces}, false, noSpaces, noSpaces},
	} {
		w := cluster.Sandbox{System: cluster.System{Name: cluster.Reference}}
		seen := sandboxSeen(w, tt.can)
		if seen.Possible != tt.possible || seen.Possible != (seen.Reason == "") {
			t.Errorf("%s: possible %v, %q", tt.says, seen.Possible, seen.Reason)
		}
		for kind, why := range map[nemesis.Kind]*sandbox.Impossible{nemesis.Power: tt.power, nemesis.Partition: tt.partition} {
			checkVerdict(t, tt.says, seen, w, kind, why)
		}
	}
}

// checkVerdict fails unless the fault is possible as the world says, or not possible because of why.
func checkVerdict(t *testing.T, says string, seen worldSeen, w scenarios.World, kind nemesis.Kind, why *sandbox.Impossible) {
	t.Helper()
	i := slices.IndexFunc(seen.Impossible, func(f faultSeen) bool { return f.Fault == string(kind) })
	listed := slices.Contains(seen.Faults, string(kind))
	if listed == (i >= 0) {
		t.Fatalf("%s: %s is possible and not, or neither: %+v", says, kind, seen)
	}
	if why == nil {
		if listed != (w.Possible(nemesis.Fault{Kind: kind}) == nil) {
			t.Errorf("%s: %s possible: %v, the world says otherwise", says, kind, listed)
		}
		return
	}
	if listed || seen.Impossible[i].Reason != why.Reason || seen.Impossible[i].Fix != why.Fix {
		t.Errorf("%s: %s: got %+v, want %q", says, kind, seen.Impossible, why.Reason)
	}
}

func TestRemediesAreNamedOnce(t *testing.T) {
	why := &sandbox.Impossible{Reason: "open /dev/fuse: no such file", Fix: "modprobe fuse"}
	d := diagnosis{
		Worlds: []worldSeen{sandboxSeen(cluster.Sandbox{}, sandbox.Abilities{Disks: why})},
		Checks: []check{abilitySeen("lossy disk", why, "/dev/fuse", "no power cuts")},
	}
	if got, want := d.mend(), []string{"lossy disk: no power cuts; modprobe fuse"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
