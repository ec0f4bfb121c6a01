package cluster

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// Names of the systems under test, as --system takes them.
const (
	Reference = "reference"
	RocketMQ  = "rocketmq"
)

// Profiles of the reference broker, the default first. Source: contracts.md section 3 (Form).
var profiles = []string{"rocketmq-5", "rocketmq-4.9", holdfastProfile}

// holdfastProfile is the one that has a controller.
const holdfastProfile = "holdfast"

// Versions of Apache RocketMQ that this package was tried with, the default first. Others are accepted.
var triedVersions = []string{"5.5.0", "5.3.3", "4.9.7"}

var versionForm = regexp.MustCompile(`^[45]\.\d+\.\d+$`)

// System is a system under test: which program, in which version or profile, and where it is found.
type System struct {
	Name    string // Reference or RocketMQ
	Version string // of RocketMQ: 5.5.0; empty for the reference
	Profile string // semantics that the reference imitates, or that the version has: rocketmq-5, rocketmq-4.9, holdfast
	Home    string // directory of an unpacked release (--rocketmq-home); empty: jars by Maven into the cache
	Binary  string // program of the reference; empty: the running executable
	Tuned   bool   // RocketMQ with what operators set for throughput

	java java // filled by Prepare
}

// tuned ends the name of RocketMQ with the settings for throughput.
const tuned = ":tuned"

// ParseSystem reads the value of --system: reference[:PROFILE], rocketmq[:VERSION] or rocketmq:VERSION:tuned. Its error names what is
// allowed and carries exit code 64.
func ParseSystem(text string) (System, error) {
	name, detail, given := strings.Cut(text, ":")
	s := System{Name: name}
	switch name {
	case Reference:
		s.Profile = profiles[0]
		if given {
			s.Profile = detail
		}
		if slices.Contains(profiles, s.Profile) {
			return s, nil
		}
	case RocketMQ:
		s.Version = triedVersions[0]
		if given {
			s.Version, s.Tuned = strings.CutSuffix(detail, tuned)
		}
		if versionForm.MatchString(s.Version) {
			s.Profile = "rocketmq-5"
			if strings.HasPrefix(s.Version, "4.") {
				s.Profile = "rocketmq-4.9"
			}
			return s, nil
		}
	}
	return System{}, usage("--system %q is unknown; allowed: reference, reference:%s, rocketmq:VERSION, rocketmq:VERSION:tuned (tried: %s)",
		text, strings.Join(profiles, ", reference:"), strings.Join(triedVersions, ", "))
}

// String returns the system as --system takes it.
func (s System) String() string {
	if s.Name == Reference {
		return s.Name + ":" + s.Profile
	}
	if s.Tuned {
		return s.Name + ":" + s.Version + tuned
	}
	return s.Name + ":" + s.Version
}

// Describe returns the system as results name it.
func (s System) Describe() result.System {
	return result.System{Name: s.Name, Version: s.Version, Profile: s.Profile, Tuned: s.Tuned}
}

// Supports returns nil, or why the system has no such contract.
func (s System) Supports(c result.Contract) error {
	if s.Profile == "rocketmq-4.9" && c.BrokerRole == "SYNC_MASTER" && c.InSyncReplicas < 2 {
		return usage("%s has no inSyncReplicas: its SYNC_MASTER always waits for a slave; use SYNC_MASTER/2", s)
	}
	if s.Profile == holdfastProfile && c.BrokerRole != "SYNC_MASTER" {
		return usage("%s elects none whom no acknowledgement waited for: with %s there would be no failover to measure; use SYNC_MASTER/2", s, c.BrokerRole)
	}
	return nil
}

// Prepare makes sure that the system can be started: for RocketMQ it checks Java, and fetches the jars by Maven into the
// user's cache directory unless Home is set or they are there already. It may take minutes the first time and says on
// progress what it does. It needs a network only then: prepare before entering a sandbox. Its error says what to do.
func (s *System) Prepare(ctx context.Context, progress io.Writer) error {
	if s.Name == Reference {
		return nil
	}
	found, err := findJava(ctx)
	if err != nil {
		return err
	}
	s.java = found
	if s.Home != "" {
		return s.useHome()
	}
	if err := s.fetch(ctx, progress); err != nil {
		return err
	}
	s.shareClasses(ctx, progress)
	return ctx.Err()
}

// usageError is wrong usage: exit code 64. Source: contracts.md section 2.
type usageError struct{ error }

func (usageError) ExitCode() int { return 64 }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// brokenError says that the system under test could not run: exit code 3.
type brokenError struct{ error }

func (brokenError) ExitCode() int   { return 3 }
func (e brokenError) Unwrap() error { return e.error }

func broken(format string, args ...any) error { return brokenError{fmt.Errorf(format, args...)} }
