// Package setting holds the kinds of values that keys of a configuration file have: how the text of one is read, checked and
// written back. It knows no file and no key.
package setting

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Setting is one key of a file that fills a C.
type Setting[C any] struct {
	Name string
	// Dynamic settings may be changed while what they set up runs.
	Dynamic bool
	// Get returns the text of the value.
	Get func(*C) string
	// Set takes the text of a value over; it errs, naming what is allowed, when the text is none.
	Set func(*C, string) error
}

// Text is any text.
func Text[C any](name string, field func(*C) *string) Setting[C] {
	return Setting[C]{Name: name,
		Get: func(c *C) string { return *field(c) },
		Set: func(c *C, v string) error { *field(c) = v; return nil },
	}
}

// Word is one of some words.
func Word[C any, T ~string](name string, field func(*C) *T, allowed ...T) Setting[C] {
	return Setting[C]{Name: name,
		Get: func(c *C) string { return string(*field(c)) },
		Set: func(c *C, v string) error {
			if !slices.Contains(allowed, T(v)) {
				return fmt.Errorf("allowed: %v", allowed)
			}
			*field(c) = T(v)
			return nil
		},
	}
}

// Bool is true or false.
func Bool[C any](name string, field func(*C) *bool) Setting[C] {
	return Setting[C]{Name: name,
		Get: func(c *C) string { return strconv.FormatBool(*field(c)) },
		Set: func(c *C, v string) error {
			if v != "true" && v != "false" {
				return errors.New("allowed: true, false")
			}
			*field(c) = v == "true"
			return nil
		},
	}
}

// Whole is a whole number from low to high.
func Whole[C any, T int | int32 | int64](name string, field func(*C) *T, low, high int64) Setting[C] {
	return Setting[C]{Name: name,
		Get: func(c *C) string { return strconv.FormatInt(int64(*field(c)), 10) },
		Set: func(c *C, v string) error {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < low || n > high {
				return fmt.Errorf("allowed: %d to %d", low, high)
			}
			*field(c) = T(n)
			return nil
		},
	}
}

// Millis is a time of low ms to 24 h, written in ms.
func Millis[C any](name string, field func(*C) *time.Duration, low int64) Setting[C] {
	return Setting[C]{Name: name,
		Get: func(c *C) string { return strconv.FormatInt(field(c).Milliseconds(), 10) },
		Set: func(c *C, v string) error {
			n, err := strconv.ParseInt(v, 10, 64)
			if high := int64(24 * time.Hour / time.Millisecond); err != nil || n < low || n > high {
				return fmt.Errorf("allowed: %d to %d (ms)", low, high)
			}
			*field(c) = time.Duration(n) * time.Millisecond
			return nil
		},
	}
}
