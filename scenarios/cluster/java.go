package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// java is a Java runtime and the jars of one RocketMQ version.
type java struct {
	program string // path of the java executable
	major   int    // 8, 11, 17, ...
	jars    string // directory of the jars
	archive string // of their classes, for a quick start; empty: none
}

// javaVersion matches the first line of `java -version`: version "17.0.15" or, up to Java 8, version "1.8.0_452".
var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

// findJava returns the Java runtime of JAVA_HOME, else of PATH.
func findJava(ctx context.Context) (java, error) {
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	program, err := exec.LookPath(program)
	if err != nil {
		return java{}, broken("rocketmq needs a Java runtime, 8 or later: %w; install one (Debian, Ubuntu: "+
			"apt-get install openjdk-17-jre-headless) or set JAVA_HOME", err)
	}
	out, err := exec.CommandContext(ctx, program, "-version").CombinedOutput()
	if err != nil {
		return java{}, broken("%s -version: %w: %s", program, err, out)
	}
	major, err := parseJavaVersion(out)
	if err != nil {
		return java{}, broken("%s -version: %w", program, err)
	}
	return java{program: program, major: major}, nil
}

// parseJavaVersion returns the major version that `java -version` printed; versions before 8 are an error.
func parseJavaVersion(out []byte) (int, error) {
	found := javaVersion.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("no version in %q", out)
	}
	major, err := strconv.Atoi(string(found[1]))
	if err != nil || major < 8 {
		return 0, fmt.Errorf("version %s is too old for RocketMQ: 8 or later is needed", found[1])
	}
	return major, nil
}

// machine is how a virtual machine is sized.
type machine []string

var (
	// brokerMachine is that of brokers whose speed and memory are measured: the releases' scripts would give them 8 GB.
	brokerMachine = machine{"-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"}
	// tunedMachine is that of the releases' scripts in kind, sized for small machines: a heap of fixed size whose pages are there.
	tunedMachine = machine{"-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g", "-XX:+UseG1GC", "-XX:+AlwaysPreTouch", "-XX:-UseBiasedLocking", "-XX:+IgnoreUnrecognizedVMOptions"}
	// briefMachine is that of brokers that live for seconds, many at once: what the optimizing compiler makes faster, they do not do
	// long enough, and more memory than this they do not fill.
	briefMachine = machine{"-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=512m", quickly}
	// nameServerMachine does next to nothing but start, beside two others: no optimizing compiler, a small heap.
	nameServerMachine = machine{"-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", quickly}
)

// quickly leaves the optimizing compiler out.
const quickly = "-XX:TieredStopAtLevel=1"

// flags returns the options of the virtual machine of a node whose logs, home and crash reports go to home. Nothing is
// written outside it and the store.
func (j java) flags(size machine, home, rocketmqHome string) []string {
	flags := append(slices.Clone(size),
		"-XX:-UsePerfData", // else each killed node leaves a file in the temporary directory
		"-XX:ErrorFile="+filepath.Join(home, "hs_err.log"),
		"-Duser.home="+home,
		"-Djava.io.tmpdir="+filepath.Join(home, scratchDir), // native libraries are unpacked there, 12 MB a start
		"-Dtls.server.mode=disabled",                        // no client speaks TLS, and 5.x makes two RSA keys at each start: 3 s of a core
		"-Drocketmq.home.dir="+rocketmqHome)
	if j.archive != "" {
		flags = append(flags, "-Xshare:auto", "-XX:SharedArchiveFile="+j.archive)
	}
	if j.major > 8 { // cleaning of mapped buffers by reflection; without it expired files stay mapped
		flags = append(flags,
			"--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
			"--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
			"--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
			"--add-opens=java.base/java.nio=ALL-UNNAMED",
			"--add-opens=java.base/java.lang=ALL-UNNAMED")
	}
	return flags
}

// scratchDir is the temporary directory of a JVM below its node's home; it is removed when the cluster is closed.
const scratchDir = "tmp"

// clientMachine runs clients: their code is not fast for long enough to be compiled well.
var clientMachine = machine{"-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", quickly}

// Client returns the command line of a virtual machine with the jars of the version, and more directories of classes, on its class
// path: all but the main class. What it writes goes below home. The system must have been prepared.
func (s *System) Client(home string, classes ...string) []string {
	flags := s.java.flags(clientMachine, home, home)
	path := append([]string{filepath.Join(s.java.jars, "*")}, classes...)
	return append(append([]string{s.java.program}, flags...), "-cp", strings.Join(path, string(os.PathListSeparator)))
}

// ClassPath returns the jars of the version, as javac takes them. The system must have been prepared.
func (s *System) ClassPath() string { return filepath.Join(s.java.jars, "*") }
