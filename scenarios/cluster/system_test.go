package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/reports/result"
)

func TestParseSystem(t *testing.T) {
	for _, row := range []struct{ text, want, profile string }{
		{"reference", "reference:rocketmq-5", "rocketmq-5"},
		{"reference:rocketmq-4.9", "reference:rocketmq-4.9", "rocketmq-4.9"},
		{"rocketmq", "rocketmq:5.5.0", "rocketmq-5"},
		{"rocketmq:4.9.7", "rocketmq:4.9.7", "rocketmq-4.9"},
		{"rocketmq:5.3.3", "rocketmq:5.3.3", "rocketmq-5"},
		{"reference:holdfast", "reference:holdfast", "holdfast"},
		{"", "", ""},
		{"reference:", "", ""},
		{"reference:5.5.0", "", ""},
		{"rocketmq:", "", ""},
		{"rocketmq:latest", "", ""},
		{"rocketmq:3.2.6", "", ""},
		{"rocketmq:../../etc", "", ""},
		{"kafka", "", ""},
	} {
		got, err := ParseSystem(row.text)
		if row.want != "" {
			if err != nil || got.String() != row.want || got.Profile != row.profile {
				t.Errorf("%q: got %v with %q, %v; want %v with %q", row.text, got, got.Profile, err, row.want, row.profile)
			}
			continue
		}
		wantCode(t, row.text, err, 64)
		if err != nil && !strings.Contains(err.Error(), "allowed: reference, reference:rocketmq-5, reference:rocketmq-4.9, reference:holdfast, rocketmq:VERSION") {
			t.Errorf("%q: the error %q does not name what is allowed", row.text, err)
		}
	}
}

func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	var coded interface{ ExitCode() int }
	if !errors.As(err, &coded) || coded.ExitCode() != code {
		t.Errorf("%s: got error %v, want one with exit code %d", what, err, code)
	}
}

func TestSupports(t *testing.T) {
	old := System{Name: RocketMQ, Version: "4.9.7", Profile: "rocketmq-4.9"}
	for _, row := range []struct {
		c    result.Contract
		want bool
	}{
		{result.Contract{BrokerRole: "ASYNC_MASTER"}, true},
		{result.Contract{BrokerRole: "SYNC_MASTER", InSyncReplicas: 1}, false},
		{result.Contract{BrokerRole: "SYNC_MASTER", InSyncReplicas: 2}, true},
	} {
		if got := old.Supports(row.c) == nil; got != row.want {
			t.Errorf("4.9.7 supports %v: got %v, want %v", row.c, got, row.want)
		}
		if err := (System{Name: Reference, Profile: "rocketmq-5"}).Supports(row.c); err != nil {
			t.Errorf("the reference does not support %v: %v", row.c, err)
		}
	}
	if _, err := New(old, result.Contract{BrokerRole: "SYNC_MASTER"}, Options{Dir: t.TempDir()}); err == nil {
		t.Error("a group of a contract that the system does not have was laid out")
	}
}

// fakePrograms makes a PATH of scripts alone, and an empty cache.
func fakePrograms(t *testing.T, scripts map[string]string) (cache string) {
	t.Helper()
	bin, cache := t.TempDir(), t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("JAVA_HOME", "")
	t.Setenv("XDG_CACHE_HOME", cache)
	return cache
}

const (
	fakeJava = `echo 'openjdk version "17.0.15" 2025-04-15' >&2`
	// fakeMaven copies what the pom of its working directory asks for, once.
	fakeMaven = `PATH=/bin:/usr/bin; [ -e pom.xml ] || exit 9
for a; do case $a in -DoutputDirectory=*) out=${a#*=};; esac; done
mkdir -p "$out"; : > "$out/rocketmq-broker-$(sed -n 's/^  <version>\(.*\)<.version>$/\1/p' pom.xml).jar"; echo run >> ../runs`
)

func TestPrepareSaysWhatToDo(t *testing.T) {
	for _, row := range []struct {
		says    string
		scripts map[string]string
		want    []string
	}{
		{"no Java", map[string]string{}, []string{"needs a Java runtime", "JAVA_HOME"}},
		{"Java too old", map[string]string{"java": `echo 'java version "1.7.0_80"' >&2`}, []string{"version 7 is too old", "8 or later"}},
		{"no Java at all", map[string]string{"java": "echo hello"}, []string{"no version in", "hello"}},
		{"Java that fails", map[string]string{"java": "echo no libjvm; exit 1"}, []string{"exit status 1", "no libjvm"}},
		{"no Maven", map[string]string{"java": fakeJava}, []string{"needs Maven", "apt-get install maven", "--rocketmq-home"}},
		{"no such version", map[string]string{"java": fakeJava, "mvn": `echo "[ERROR] Could not find artifact org.apache.rocketmq:rocketmq-broker:jar:5.5.0"; echo "[ERROR]"; echo "[ERROR] To see the full stack trace"; exit 1`},
			[]string{"could not resolve Apache RocketMQ 5.5.0", "Could not find artifact", "settings.xml"}},
		{"Maven that copies nothing", map[string]string{"java": fakeJava, "mvn": "exit 0"}, []string{"no rocketmq-broker-5.5.0.jar"}},
	} {
		t.Run(row.says, func(t *testing.T) {
			cache := fakePrograms(t, row.scripts)
			sys, err := ParseSystem("rocketmq:5.5.0")
			if err != nil {
				t.Fatal(err)
			}
			err = sys.Prepare(t.Context(), new(bytes.Buffer))
			wantCode(t, row.says, err, 3)
			for _, part := range row.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("the error %q lacks %q", err, part)
				}
			}
			if err != nil && strings.Contains(err.Error(), "stack trace") {
				t.Errorf("the error %q repeats Maven's advice", err)
			}
			if half, _ := filepath.Glob(filepath.Join(cache, "holdfast", "fetch-*")); len(half) > 0 {
				t.Errorf("left over: %v", half)
			}
		})
	}
}

func TestPrepareFetchesOnce(t *testing.T) {
	cache := fakePrograms(t, map[string]string{"java": fakeJava, "mvn": fakeMaven})
	var said bytes.Buffer
	for range 2 {
		sys, err := ParseSystem("rocketmq:5.5.0")
		if err != nil {
			t.Fatal(err)
		}
		if err := sys.Prepare(t.Context(), &said); err != nil {
			t.Fatal(err)
		}
		if sys.java.major != 17 {
			t.Errorf("got Java %d, want 17", sys.java.major)
		}
	}
	runs, err := os.ReadFile(filepath.Join(cache, "holdfast", "runs"))
	if err != nil || string(runs) != "run\n" {
		t.Errorf("got runs %q, %v; want one", runs, err)
	}
	if got := strings.Count(said.String(), "fetching its jars by Maven"); got != 1 {
		t.Errorf("got %d lines of progress, want 1: %s", got, &said)
	}
	lib := filepath.Join(cache, "holdfast", "rocketmq-5.5.0", "lib")
	if err := os.RemoveAll(lib); err != nil { // somebody tidied up
		t.Fatal(err)
	}
	sys, _ := ParseSystem("rocketmq:5.5.0")
	if err := sys.Prepare(t.Context(), &said); err != nil {
		t.Errorf("with a damaged cache: %v", err)
	}
}

func TestPrepareInterrupted(t *testing.T) {
	fakePrograms(t, map[string]string{"java": fakeJava, "mvn": "exec /bin/sleep 60"})
	ctx, cancel := context.WithCancel(t.Context())
	sys, _ := ParseSystem("rocketmq:5.5.0")
	err := sys.Prepare(ctx, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestPrepareHome(t *testing.T) {
	fakePrograms(t, map[string]string{"java": fakeJava})
	home := t.TempDir()
	sys, _ := ParseSystem("rocketmq:5.5.0")
	sys.Home = home
	wantCode(t, "empty home", sys.Prepare(t.Context(), nil), 64)
	if err := os.Mkdir(filepath.Join(home, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	jar := func(version string) string { return filepath.Join(home, "lib", "rocketmq-broker-"+version+".jar") }
	if err := os.WriteFile(jar("5.3.3"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := sys.Prepare(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "holds rocketmq-broker-5.3.3.jar, not rocketmq-broker-5.5.0.jar") {
		t.Errorf("another version: got %v", err)
	}
	if err := os.Rename(jar("5.3.3"), jar("5.5.0")); err != nil {
		t.Fatal(err)
	}
	if err := sys.Prepare(t.Context(), nil); err != nil {
		t.Errorf("the right version: %v", err)
	}
}

func TestParseJavaVersion(t *testing.T) {
	for _, row := range []struct {
		text string
		want int // 0: an error
	}{
		{`openjdk version "17.0.15" 2025-04-15`, 17},
		{`openjdk version "21" 2023-09-19`, 21},
		{`java version "1.8.0_452"`, 8},
		{"Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"11.0.2\"", 11},
		{`java version "1.6.0"`, 0},
		{`version "99999999999999999999"`, 0},
		{"", 0},
	} {
		got, err := parseJavaVersion([]byte(row.text))
		if got != row.want || (err == nil) != (row.want > 0) {
			t.Errorf("%q: got %d, %v; want %d", row.text, got, err, row.want)
		}
	}
}
