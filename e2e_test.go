package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"holdfast/reports/result"
	"holdfast/scenarios/cluster/sandbox"
)

// asBinary makes the test binary behave as holdfast itself.
const asBinary = "HOLDFAST_TEST_AS_BINARY"

func TestMain(m *testing.M) {
	if code, ok := child(); ok {
		os.Exit(code)
	}
	if os.Getenv(asBinary) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// holdfast runs the program as a user does and returns its output and exit code.
func holdfast(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), asBinary+"=1")
	return cmd
}

// needSandbox skips a test, with the reason, where no power can be cut.
func needSandbox(t *testing.T) {
	t.Helper()
	if err := sandbox.Probe(); err != nil {
		t.Skip(err)
	}
}

// TestMatrixTellsContractsApart is the whole thread, from a producer's send to the verdicts: what each contract must and must
// not lose in each failure. Source: faults.md section 4.
func TestMatrixTellsContractsApart(t *testing.T) {
	needSandbox(t)
	out := filepath.Join(t.TempDir(), "out")
	_, stderr, code := holdfast(t, "matrix", "--quick", "--cuts", "2", "--no-performance", "--out", out,
		"--contracts", "ASYNC_MASTER+ASYNC_FLUSH,ASYNC_MASTER+SYNC_FLUSH,SYNC_MASTER/2+ASYNC_FLUSH",
		"--faults", "kill-returns,power-returns,power-promoted")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	r, err := result.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		says, cell string
		loses      bool
		verdict    result.Verdict
	}{
		{"kill -9 loses nothing: the page cache survives", "async-master.async-flush.kill-returns", false, result.Kept},
		{"the control loses", "async-master.async-flush.power-returns", true, result.LossWithinContract},
		{"SYNC_FLUSH loses nothing when the master returns", "async-master.sync-flush.power-returns", false, result.Kept},
		{"SYNC_MASTER + ASYNC_FLUSH loses when the master returns, and what it acknowledges then claims copies that the slave, longer now, never gets",
			"sync-master-2.async-flush.power-returns", true, result.Violated},
		{"and loses nothing when the slave is promoted", "sync-master-2.async-flush.power-promoted", false, result.Kept},
	} {
		c := r.Cell(row.cell)
		if c == nil {
			t.Fatalf("no cell %s", row.cell)
		}
		if lost := result.Sum(c.Lost); (lost > 0) != row.loses || c.Verdict != row.verdict {
			t.Errorf("%s: %s lost %d of %v, verdict %s, want %s; %v", row.says, row.cell, lost, c.Acked, c.Verdict, row.verdict, c.Reasons)
		}
		if c.Acked["SEND_OK"] < 2000 || c.FaultEffect["processes"] != 2 {
			t.Errorf("%s: vacuous: %v acknowledged, effect %v", row.cell, c.Acked, c.FaultEffect)
		}
	}
	checkAgrees(t, out, r)
}

// TestTwoSandboxesAtOnce runs two matrices side by side: neither may change what the other finds, and no address, mount or device
// of the one may get in the way of the other.
func TestTwoSandboxesAtOnce(t *testing.T) {
	needSandbox(t)
	var both sync.WaitGroup
	for i := range 2 {
		out := filepath.Join(t.TempDir(), "out")
		both.Go(func() {
			stdout, stderr, code := holdfast(t, "matrix", "--quick", "--cuts", "1", "--no-performance", "--out", out, "--seed", strconv.Itoa(i+1),
				"--contracts", "ASYNC_MASTER+ASYNC_FLUSH,ASYNC_MASTER+SYNC_FLUSH", "--faults", "power-returns")
			r, err := result.Read(out)
			if code != 0 || err != nil || !strings.Contains(stdout, "RPO: power loss of the master, it returns") {
				t.Errorf("matrix %d: exit %d, %v: %s%s", i, code, err, stdout, stderr)
				return
			}
			for id, want := range map[string]result.Verdict{
				"async-master.async-flush.power-returns": result.LossWithinContract, "async-master.sync-flush.power-returns": result.Kept,
			} {
				if c := r.Cell(id); c == nil || c.Verdict != want || c.FaultEffect["processes"] != 1 {
					t.Errorf("matrix %d: %s: %+v, want %s", i, id, c, want)
				}
			}
		})
	}
	both.Wait()
}

// TestMatrixOnLoopback kills without a sandbox, and says of power cuts that they are not possible.
func TestMatrixOnLoopback(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	stdout, stderr, code := holdfast(t, "matrix", "--quick", "--cuts", "1", "--no-performance", "--world", "loopback", "--out", out,
		"--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--faults", "kill-returns,power-all", "--output", "json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var r result.Result
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if c := r.Cell("async-master.async-flush.kill-returns"); c == nil || c.Verdict != result.Kept || c.FaultEffect["processes"] != 1 {
		t.Errorf("kill: %+v", c)
	}
	if c := r.Cell("async-master.async-flush.power-all"); c == nil || c.Verdict != result.Inconclusive ||
		!strings.Contains(strings.Join(c.Reasons, " "), "not possible here") {
		t.Errorf("power: %+v", c)
	}
}

// checkAgrees holds the verdict of every trial against that of `check` on the saved history.
func checkAgrees(t *testing.T, out string, r *result.Result) {
	t.Helper()
	for _, c := range r.Cells {
		for _, trial := range c.Trials {
			stdout, stderr, _ := holdfast(t, "check", filepath.Join(out, trial.History), "--output", "json")
			var got struct {
				Verdict result.Verdict
				Lost    map[string]int64
			}
			if err := json.Unmarshal([]byte(stdout), &got); err != nil {
				t.Fatalf("check %s: %v: %s%s", trial.History, err, stdout, stderr)
			}
			if got.Verdict != trial.Verdict || result.Sum(got.Lost) != result.Sum(trial.Lost) {
				t.Errorf("check %s: %s, lost %v; the matrix said %s, lost %v", trial.History, got.Verdict, got.Lost, trial.Verdict, trial.Lost)
			}
		}
	}
}

// TestDryRun prints the plan as the output that was asked for, and makes nothing.
func TestDryRun(t *testing.T) {
	t.Chdir(t.TempDir())
	stdout, stderr, code := holdfast(t, "matrix", "--dry-run", "--quick", "--faults", "power-all", "--output", "json")
	var plan struct {
		Cells []struct {
			ID      string
			Cuts    int
			Seconds float64
		}
		Seconds float64
	}
	if err := json.Unmarshal([]byte(stdout), &plan); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	if len(plan.Cells) != 12 || plan.Cells[1].ID != "async-master.async-flush.power-all" || plan.Cells[1].Cuts != 3 || plan.Seconds <= plan.Cells[1].Seconds {
		t.Errorf("%s", stdout)
	}
	if made, err := filepath.Glob("*"); err != nil || len(made) > 0 {
		t.Errorf("it made %v, %v", made, err)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, row := range []struct {
		says string
		args []string
		want string
	}{
		{"an unknown flag", []string{"matrix", "--fast"}, "--fast"},
		{"an unknown contract lists the allowed", []string{"matrix", "--contracts", "SYNC"}, "SYNC_MASTER/2+ASYNC_FLUSH"},
		{"an unknown fault lists the allowed", []string{"matrix", "--faults", "flood"}, "power-promoted"},
		{"an unknown system", []string{"matrix", "--system", "kafka"}, "rocketmq:VERSION"},
		{"cuts out of range", []string{"matrix", "--cuts", "-1"}, "0 to 10000"},
		{"an unknown world", []string{"matrix", "--world", "moon"}, "sandbox"},
		{"two worlds", []string{"matrix", "--world", "auto sandbox"}, "sandbox"},
		{"a home of nothing", []string{"matrix", "--rocketmq-home", "/opt"}, "--system rocketmq:VERSION"},
		{"an unknown command", []string{"matrx"}, "matrx"},
		{"an unknown command below another", []string{"history", "dog"}, "dog"},
		{"an address without a port", []string{"namesrv", "--listen", "localhost"}, "missing port"},
		{"a port that is none", []string{"broker", "--standalone", "--listen", "127.0.0.1:http"}, "0 to 65535"},
		{"a flag that a file replaces", []string{"broker", "-c", "broker.conf", "--store", "s"}, "--store"},
	} {
		stdout, stderr, code := holdfast(t, row.args...)
		if code != exitUsage || !strings.Contains(stderr, row.want) || stdout != "" {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want exit %d and %q", row.says, code, stdout, stderr, exitUsage, row.want)
		}
	}
}
