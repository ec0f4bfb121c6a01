// Command holdfast measures what message brokers lose, and what keeping costs: a reference broker that speaks RocketMQ's
// protocol, a load generator, a nemesis that cuts the power of nodes, and checkers that judge the recorded history.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// version and commit are set by the build.
var version, commit = "dev", "unknown"

func main() {
	if code, ok := child(); ok {
		os.Exit(code)
	}
	var began bool
	root := newRootCommand()
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	if err := root.Execute(); err != nil {
		if text := err.Error(); text != "" {
			fmt.Fprintln(os.Stderr, "holdfast:", text)
		}
		os.Exit(exitCode(err, began))
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "holdfast",
		Short:         "Measure what a message broker loses when a machine fails, and what keeping it costs.",
		Example:       "  holdfast matrix --quick",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(commands()...)
	return root
}

// commands lists every command of the tool; each lives in a file of its own.
func commands() []*cobra.Command {
	return []*cobra.Command{newMatrixCommand(), newBrokerCommand(), newNamesrvCommand(), newDumpCommand(), newReportCommand(), newDoctorCommand(),
		newCheckCommand(), newHistoryCommand(), newRunCommand(), newSimCommand(), newSchemaCommand(),
		newSoakCommand(), newBenchCommand()}
}
