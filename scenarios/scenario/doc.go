// Package scenario is the form of scenario and schedule files: strict YAML with its errors, its JSON Schema, and the embedded
// library. It runs nothing.
package scenario
