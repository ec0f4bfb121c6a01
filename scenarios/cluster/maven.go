package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pom is a Maven project that depends on what a broker group needs. Filled in: the version, three times.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>holdfast</groupId>
  <artifactId>rocketmq-jars</artifactId>
  <version>%[1]s</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.rocketmq</groupId><artifactId>rocketmq-namesrv</artifactId><version>%[1]s</version></dependency>
    <dependency><groupId>org.apache.rocketmq</groupId><artifactId>rocketmq-broker</artifactId><version>%[1]s</version></dependency>
  </dependencies>
</project>
`

// cacheDir returns where the jars of the version are kept: one directory a version, complete or absent.
func (s *System) cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", broken("no cache directory for the jars of RocketMQ: %w; set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(cache, "holdfast", "rocketmq-"+s.Version), nil
}

// fetch resolves the jars by Maven, once a version. It works in a directory of its own and renames it when it is complete, so
// that an interrupted or concurrent fetch never leaves half a version.
func (s *System) fetch(ctx context.Context, progress io.Writer) error {
	dir, err := s.cacheDir()
	if err != nil {
		return err
	}
	s.java.jars = filepath.Join(dir, "lib")
	if s.hasJars() == nil {
		return nil
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return broken("%s: its jars are not in %s, and fetching them needs Maven: %w; install it (Debian, Ubuntu: "+
			"apt-get install maven) or give an unpacked release by --rocketmq-home DIR", s, dir, err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return broken("cache of RocketMQ: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "fetch-"+s.Version+"-")
	if err != nil {
		return broken("cache of RocketMQ: %w", err)
	}
	defer os.RemoveAll(work)
	fmt.Fprintf(progress, "%s: fetching its jars by Maven into %s (about 110 MB, once) ...\n", s, dir)
	began := time.Now()
	if err := resolve(ctx, mvn, work, s.Version); err != nil {
		return err
	}
	if err := os.Rename(work, dir); err != nil && s.hasJars() != nil {
		if err := errors.Join(os.RemoveAll(dir), os.Rename(work, dir)); err != nil { // somebody deleted jars in it
			return broken("cache of RocketMQ: %w", err)
		}
	}
	fmt.Fprintf(progress, "%s: jars fetched in %.1f s\n", s, time.Since(began).Seconds())
	return s.hasJars()
}

// resolve has Maven copy the jars of the version and all that they need to work/lib.
func resolve(ctx context.Context, mvn, work, version string) error {
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), fmt.Appendf(nil, pom, version), 0o644); err != nil {
		return broken("cache of RocketMQ: %w", err)
	}
	cmd := exec.CommandContext(ctx, mvn, "-B", "-q", "dependency:copy-dependencies",
		"-DoutputDirectory="+filepath.Join(work, "lib"), "-DincludeScope=runtime")
	cmd.Dir = work
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return broken("Maven could not resolve Apache RocketMQ %s: %w\n%s\ncheck the version, and the network or the mirror "+
			"in ~/.m2/settings.xml; or give an unpacked release by --rocketmq-home DIR", version, err, mavenErrors(out.String()))
	}
	return nil
}

// mavenErrors returns the first error lines of Maven's output, without its advice on how to run Maven again.
func mavenErrors(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n ")
		if strings.HasPrefix(line, "[ERROR] [Help") || strings.HasPrefix(line, "[ERROR] To see") || line == "[ERROR]" {
			break
		}
		if line != "" && len(lines) < 6 {
			lines = append(lines, "  "+line)
		}
	}
	return strings.Join(lines, "\n")
}

// useHome takes the jars of an unpacked release.
func (s *System) useHome() error {
	s.java.jars = filepath.Join(s.Home, "lib")
	if err := s.hasJars(); err != nil {
		return usageError{err}
	}
	return nil
}

// hasJars returns nil when the jars of the very version are there; else it says what was found.
func (s *System) hasJars() error {
	want := "rocketmq-broker-" + s.Version + ".jar"
	_, err := os.Stat(filepath.Join(s.java.jars, want))
	if err == nil {
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return broken("%s: %w", s, err)
	}
	others, err := filepath.Glob(filepath.Join(s.java.jars, "rocketmq-broker-*.jar"))
	if err == nil && len(others) > 0 {
		return broken("%s: %s holds %s, not %s", s, s.java.jars, filepath.Base(others[0]), want)
	}
	return broken("%s: no %s in %s", s, want, s.java.jars)
}
