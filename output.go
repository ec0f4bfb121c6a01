package main

import (
	"errors"

	"github.com/spf13/pflag"
)

// outputFlag is how a command prints its result: human or json. Anything else is refused where flags are read.
type outputFlag struct{ text *string }

// addOutput adds --output to the flags of a command; about says what json is.
func addOutput(flags *pflag.FlagSet, text *string, about string) {
	*text = "human"
	flags.Var(outputFlag{text}, "output", about)
}

func (o outputFlag) Set(s string) error {
	if s != "human" && s != "json" {
		return errors.New("allowed: human, json")
	}
	*o.text = s
	return nil
}

func (o outputFlag) String() string {
	if o.text == nil { // pflag asks the zero value
		return ""
	}
	return *o.text
}

func (o outputFlag) Type() string { return "string" }
