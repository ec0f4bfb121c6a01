package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrSchema refuses a file of another schema version.
var ErrSchema = errors.New("result: another schema version")

// ErrMalformed refuses a file that breaks the form.
var ErrMalformed = errors.New("result: malformed")

// Read reads and validates the results at path: a file, or a directory that holds FileName. Unknown fields are ignored, for
// they may be added within a schema version. Errors name the file and the field and wrap ErrSchema, ErrMalformed or the
// error of the file system.
func Read(path string) (*Result, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Parse reads and validates results. Errors name the field and wrap ErrSchema or ErrMalformed.
func Parse(data []byte) (*Result, error) {
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, malformed(data, err)
	}
	if version.Schema == nil {
		return nil, fmt.Errorf("%w: schema: missing", ErrMalformed)
	}
	if *version.Schema != Schema {
		return nil, fmt.Errorf("%w: schema: %d, this program reads %d", ErrSchema, *version.Schema, Schema)
	}
	var r Result
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, malformed(data, err)
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return &r, nil
}

// malformed says where in data, and in which field, err is.
func malformed(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: line %d: %v", ErrMalformed, line(data, syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("%w: line %d: %s: %s, want %s", ErrMalformed, line(data, kind.Offset), kind.Field, kind.Value, kind.Type)
	}
	return fmt.Errorf("%w: %v", ErrMalformed, err)
}

func line(data []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}

// Write replaces the file at path (results.json) with r, at once and durably: a reader, or a machine that loses power,
// finds the old or the new one. It validates first, so that what was written can be read.
func (r *Result) Write(path string) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	data, err := r.encode()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return WriteFile(path, data)
}

// encode returns r as JSON with a cell a line, which keeps the file readable and a third as long as one indented throughout.
func (r *Result) encode() ([]byte, error) {
	const slot = `"cells": []`
	head := *r
	head.Cells = []Cell{}
	data, err := json.MarshalIndent(head, "", " ")
	if err != nil {
		return nil, err
	}
	if len(r.Cells) == 0 {
		return append(data, '\n'), nil
	}
	before, after, _ := bytes.Cut(data, []byte("\n "+slot)) // at depth one: no value of a string can hold a line feed
	out := append(slices.Clone(before), "\n \"cells\": ["...)
	for i := range r.Cells {
		cell, err := json.Marshal(&r.Cells[i])
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, "\n  "...), cell...)
	}
	return append(append(append(out, "\n ]"...), after...), '\n'), nil
}

// WriteFile replaces the file at path with data by way of a temporary file beside it, synced before it is renamed.
func WriteFile(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimPrefix(filepath.Base(path), ".")+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
