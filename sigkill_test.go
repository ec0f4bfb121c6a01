package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
	"holdfast/checker/history"
	"holdfast/loadgen/driver"
	"holdfast/nemesis/leftover"
	"holdfast/reports/result"
)

// TestSIGKILLOfTheHarness kills a matrix at random points under load: nothing of it may be left running, and its histories
// must hold every message that any broker has received.
func TestSIGKILLOfTheHarness(t *testing.T) {
	needSandbox(t)
	ownRun(t)
	received := 0
	for try := range 3 {
		out := filepath.Join(t.TempDir(), "out")
		cmd := command(t, "matrix", "--quick", "--cuts", "1", "--no-performance", "--out", out,
			"--contracts", "ASYNC_MASTER+ASYNC_FLUSH,SYNC_MASTER/2+ASYNC_FLUSH", "--faults", "power-returns")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitLoad(t, out, &stderr)
		time.Sleep(time.Duration(rand.IntN(2500)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		awaitNothingOf(t, out)
		n := holdsWhatBrokersHold(t, out)
		t.Logf("try %d: %d messages in brokers' logs", try, n)
		received += n
	}
	if received < 300 {
		t.Errorf("vacuous: the brokers received %d messages in all", received)
	}
}

// TestDoctorCleansUpAfterAKilledMatrix kills a matrix under load: what doctor then finds it removes, and finds nothing again.
func TestDoctorCleansUpAfterAKilledMatrix(t *testing.T) {
	needSandbox(t)
	ownCleaning(t)
	out := filepath.Join(t.TempDir(), "out")
	cmd := command(t, "matrix", "--quick", "--cuts", "1", "--no-performance", "--out", out,
		"--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--faults", "power-returns")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLoad(t, out, &stderr)
	if cleaned(t).Directories != nil {
		t.Error("doctor took the directories of a run that lives")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	awaitNothingOf(t, out)
	left, _ := filepath.Glob(filepath.Join(out, "cells", "*", "cut-1", "cluster", "disks"))
	if found := cleaned(t); len(left) == 0 || !slices.Equal(found.Directories, left) || len(found.Mounts) > 0 {
		t.Errorf("doctor removed %+v, want the directories %v alone", found, left)
	}
	for _, dir := range left {
		if _, err := os.Lstat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	if found := cleaned(t); !found.None() {
		t.Errorf("doctor found %+v the second time", found)
	}
}

// cleaned is what doctor --clean removes.
func cleaned(t *testing.T) (found leftover.Found) {
	t.Helper()
	stdout, stderr, code := holdfast(t, "doctor", "--clean", "--output", "json")
	if err := json.Unmarshal([]byte(stdout), &found); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, stderr)
	}
	return found
}

// awaitLoad returns when a history has been begun.
func awaitLoad(t *testing.T, out string, stderr *bytes.Buffer) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(out, "cells", "*", "cut-1", "history.hfh")); len(found) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no history within 30 s: %s", stderr)
		}
	}
}

// awaitNothingOf returns when no process runs whose command line or mounts name the directory.
func awaitNothingOf(t *testing.T, out string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		left = left[:0]
		processes, _ := filepath.Glob("/proc/[0-9]*")
		for _, p := range processes {
			line, _ := os.ReadFile(filepath.Join(p, "cmdline"))
			mounts, _ := os.ReadFile(filepath.Join(p, "mounts"))
			if p != "/proc/self" && strings.Contains(string(line)+string(mounts), out) {
				left = append(left, p+" "+strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		if len(left) == 0 {
			return
		}
	}
	t.Fatalf("left behind: %v", left)
}

// holdsWhatBrokersHold returns how many messages the brokers' commit logs hold; each must have been invoked in the history.
func holdsWhatBrokersHold(t *testing.T, out string) int {
	t.Helper()
	n := 0
	trials, _ := filepath.Glob(filepath.Join(out, "cells", "*", "cut-1"))
	for _, trial := range trials {
		if _, err := os.Stat(filepath.Join(trial, "history.hfh")); err != nil {
			continue // killed before the load
		}
		h, err := history.Open(trial)
		if err != nil {
			t.Fatal(err)
		}
		invoked := map[uint64]bool{}
		for _, send := range h.Sends {
			invoked[send.Value] = true
		}
		stores, _ := filepath.Glob(filepath.Join(trial, "cluster", "disks", "backing", "a-?"))
		for _, dir := range stores {
			for _, value := range valuesIn(t, dir) {
				n++
				if !invoked[value] {
					t.Errorf("%s holds value %d, which the history does not know", dir, value)
				}
			}
		}
	}
	return n
}

// valuesIn returns the values of the messages in a store's commit log.
func valuesIn(t *testing.T, dir string) []uint64 {
	t.Helper()
	reader, err := store.OpenReader(vfs.OS(dir))
	if err != nil {
		t.Logf("%s: %v", dir, err)
		return nil
	}
	defer reader.Close()
	var values []uint64
	_, _, err = reader.Log(func(_ int64, m *message.Record) error {
		if _, value, ok := driver.DecodeBody(m.Body); ok {
			values = append(values, value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// TestInterruptedMatrixResumes sends SIGINT in the middle of a matrix: exit 130, nothing left, what is known reported; and
// the same --out goes on where it stopped.
func TestInterruptedMatrixResumes(t *testing.T) {
	needSandbox(t)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"matrix", "--quick", "--cuts", "1", "--no-performance", "--out", out, "--parallel", "1",
		"--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--faults", "kill-returns,power-all"}
	cmd := command(t, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLoad(t, out, &stderr)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its code is looked at below
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("exit %d, want %d: %s", code, exitInterrupted, &stderr)
	}
	awaitNothingOf(t, out)
	if _, stderr, code := holdfast(t, args...); code != 0 {
		t.Fatalf("resumed: exit %d: %s", code, stderr)
	}
	r, err := result.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cells {
		if c.Acked["SEND_OK"] == 0 || c.Verdict == result.Inconclusive {
			t.Errorf("resumed: %s is %s, %v", c.ID, c.Verdict, c.Reasons)
		}
	}
	_, refused, code := holdfast(t, args...)
	if code != exitUsage || !strings.Contains(refused, "finished") {
		t.Errorf("a used --out: exit %d, %q; want exit %d", code, refused, exitUsage)
	}
}
