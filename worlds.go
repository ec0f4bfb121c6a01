package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"holdfast/nemesis"
	"holdfast/scenarios"
	"holdfast/scenarios/cluster"
	"holdfast/scenarios/cluster/sandbox"
)

// worldOf lists which faults a world can inject, and why not the others; lacking says of a kind what the machine lacks for it.
func worldOf(w scenarios.World, lacking func(nemesis.Kind) error) worldSeen {
	seen := worldSeen{Name: w.Name(), Possible: true}
	for _, kind := range nemesis.Kinds() {
		if kind == nemesis.None {
			continue // nothing has to be possible for it
		}
		err := w.Possible(nemesis.Fault{Kind: kind})
		if lacking != nil {
			if e := lacking(kind); e != nil {
				err = e
			}
		}
		if err == nil {
			seen.Faults = append(seen.Faults, string(kind))
			continue
		}
		reason, fix := reasonOf(err)
		seen.Impossible = append(seen.Impossible, faultSeen{Fault: string(kind), Reason: reason, Fix: fix})
	}
	return seen
}

// sandboxSeen is the sandbox on a machine that can do that much. A sandbox has lossy disks in any case, so without them it is not
// possible at all; without a network it lacks the faults of networks.
func sandboxSeen(w cluster.Sandbox, can sandbox.Abilities) worldSeen {
	need := can.Namespaces
	if need == nil {
		need = can.Disks
	}
	seen := worldOf(w, func(kind nemesis.Kind) error {
		if can.Network != nil && kind.OfNetwork() {
			return can.Network
		}
		return need
	})
	if need != nil {
		seen.Possible = false
		seen.Reason, seen.Fix = reasonOf(need)
	}
	return seen
}

// reasonOf takes an error apart into why something is not possible and what helps.
func reasonOf(err error) (reason, fix string) {
	var why *sandbox.Impossible
	if errors.As(err, &why) {
		return why.Reason, why.Fix
	}
	return err.Error(), ""
}

// provenDisks cuts, in a sandbox, the power of a lossy disk over dir.
func provenDisks(ctx context.Context, dir string) error {
	if out, err := exec.CommandContext(ctx, "/proc/self/exe", "doctor", "--prove", "--dir", dir).CombinedOutput(); err != nil {
		return &sandbox.Impossible{Reason: "the lossy disk fails its self-test: " + strings.TrimSpace(string(out))}
	}
	return nil
}

// abilitySeen is the check of an ability: found is what makes it possible, without what is missing where it is not.
func abilitySeen(name string, ability error, found, without string) check {
	if ability == nil {
		return check{Name: name, State: fine, Found: found}
	}
	reason, fix := reasonOf(ability)
	return check{Name: name, State: missing, Found: reason, Without: without, Fix: fix}
}

// namespacesAllowed says how many namespaces a user may make.
func namespacesAllowed() string {
	var limits []string
	for _, kind := range []string{"user", "net", "mnt", "pid"} {
		n, err := readNumber("/proc/sys/user/max_" + kind + "_namespaces")
		if err != nil {
			continue // a kernel without such a limit
		}
		limits = append(limits, fmt.Sprintf("%s %d", kind, n))
	}
	if os.Geteuid() == 0 {
		return "as root; at most " + strings.Join(limits, ", ")
	}
	return "at most " + strings.Join(limits, ", ")
}

// limitSeen is the check of a limit of the kernel that is a number in a file.
func limitSeen(name, path string, needed int64, unit, without, fix string) check {
	c := check{Name: name, State: limited, Without: without, Fix: fix}
	n, err := readNumber(path)
	if err != nil {
		c.Found = err.Error()
		return c
	}
	c.State, c.Found = stateIf(n >= needed, limited), fmt.Sprintf("up to %d %s", n, unit)
	return c
}

func readNumber(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}
