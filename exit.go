package main

import "errors"

// Exit codes that scripts rely on. Source: contracts.md section 2.
const (
	exitViolated     = 1   // a contract violated, an expectation failed, a regression
	exitInconclusive = 2   // no verdict: a fault had no effect, too few acknowledgements, a checker out of time
	exitBroken       = 3   // the harness or the system could not run
	exitUsage        = 64  // unknown flag, unknown key in a file, malformed history, impossible combination
	exitInterrupted  = 130 // SIGINT
)

// codedError is an error with the exit code of the process that ends by it.
type codedError struct {
	error
	code int
}

func (e codedError) ExitCode() int { return e.code }
func (e codedError) Unwrap() error { return e.error }

// exit gives err the exit code of the process that ends by it. A nil err ends the process without a message.
func exit(code int, err error) error {
	if err == nil {
		err = errSilent
	}
	return codedError{err, code}
}

// errSilent ends the process by its code alone: what there is to say was printed as the result.
var errSilent = errors.New("")

// exitCode returns the code that err asks for. Without one, an error before the command began is wrong usage, and a later one says
// that the harness could not run.
func exitCode(err error, began bool) int {
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &coded):
		return coded.ExitCode()
	case began:
		return exitBroken
	}
	return exitUsage
}
