package server

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestKeysWithoutEffectAreDocumented: the table in docs/broker.md is that of the keys.
func TestKeysWithoutEffectAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/broker.md")
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(page), "## Keys without effect\n")
	_, got, _ = strings.Cut(got, "|---|---|\n")
	got, _, _ = strings.Cut(got, "\n\n")
	var rows []string
	for i := range fileKeys {
		if k := &fileKeys[i]; k.inert != "" {
			rows = append(rows, fmt.Sprintf("| `%s` | %s |", k.name, k.inert))
		}
	}
	if want := strings.Join(rows, "\n"); got != want {
		t.Errorf("docs/broker.md has\n%s\nthe keys are\n%s", got, want)
	}
}
