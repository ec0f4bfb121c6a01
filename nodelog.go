package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
)

// logFlags are how a broker or a name server logs, to standard error.
type logFlags struct {
	format, level string
	verbose       bool
}

func (f *logFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.format, "log-format", "text", "form of the log on standard error: text or json")
	flags.StringVar(&f.level, "log-level", "warn", "what is logged: error, warn (what an operator should look at), info (what changed) or debug")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "the same as --log-level debug")
}

// logger returns the log, or what is wrong with the flags. There is nothing in it for a message: a broker under load says no more
// than one without.
func (f *logFlags) logger() (*slog.Logger, error) {
	var level slog.Level
	switch f.level {
	case "error", "warn", "info", "debug":
		if err := level.UnmarshalText([]byte(f.level)); err != nil {
			return nil, fmt.Errorf("--log-level: %w", err)
		}
	default:
		return nil, fmt.Errorf("--log-level %s; allowed: error, warn, info, debug", f.level)
	}
	if f.verbose {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	}
	return nil, fmt.Errorf("--log-format %s; allowed: text, json", f.format)
}
