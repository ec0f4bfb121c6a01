package sandbox

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTroubleIsToldApart(t *testing.T) {
	const none, noFUSE, noTUN, noProc = "", "open /dev/fuse: no such file or directory", "open /dev/net/tun: no such device", "mount /proc: not permitted"
	for _, tt := range []struct {
		says string
		said trouble
		want [3]string // beginnings of the reasons
	}{
		{"everything works", trouble{}, [3]string{none, none, none}},
		{"no power cuts, but a network", trouble{Disks: noFUSE}, [3]string{none, noFUSE, none}},
		{"power cuts, but no network", trouble{Network: noTUN}, [3]string{none, none, noTUN}},
		{"neither", trouble{Disks: noFUSE, Network: noTUN}, [3]string{none, noFUSE, noTUN}},
		{"no sandbox at all", trouble{Namespaces: noProc}, [3]string{noProc, noProc, noProc}},
	} {
		got := tt.said.abilities()
		for i, err := range []error{got.Namespaces, got.Disks, got.Network} {
			var why *Impossible
			switch {
			case err == nil && tt.want[i] == none:
			case !errors.As(err, &why) || why.Reason != tt.want[i] || why.Fix == "":
				t.Errorf("%s: ability %d: got %v, want %q with a fix", tt.says, i, err, tt.want[i])
			}
		}
	}
}

// hide covers a device by the null device, in this mount namespace alone.
func hide(device string) error { return unix.Mount("/dev/null", device, "", unix.MS_BIND, "") }

// TestExamineWithoutDevices takes one device after the other away: that, and no more, must be found missing.
func TestExamineWithoutDevices(t *testing.T) {
	here := Examine()
	if here != (Abilities{}) {
		t.Skip(errors.Join(here.Namespaces, here.Disks, here.Network))
	}
	for device, want := range map[string]string{
		"/dev/fuse":     "true false true",
		"/dev/net/tun":  "true true false",
		"/proc/version": "true true true", // of no use to anybody here
	} {
		cmd := command(t, "blind")
		cmd.Args = append(cmd.Args, device)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); got != want || err != nil {
			t.Errorf("without %s: got %q, %v; want %q", device, got, err, want)
		}
	}
}

// TestExamine holds what was found against what the machine has: without a device node its ability cannot be there.
func TestExamine(t *testing.T) {
	found := Examine()
	for path, err := range map[string]error{"/dev/fuse": found.Disks, "/dev/net/tun": found.Network} {
		if _, missing := os.Stat(path); missing != nil && err == nil {
			t.Errorf("%s is not there, but found to work", path)
		}
		var why *Impossible
		if err != nil && !errors.As(err, &why) {
			t.Errorf("%s: %v is no *Impossible", path, err)
		}
	}
	if found.Namespaces == nil && found.Disks == nil && Probe() != nil {
		t.Errorf("two probes differ: %v", Probe())
	}
}
