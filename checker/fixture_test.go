package checker_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/checker"
	"holdfast/checker/history"
)

var rewrite = flag.Bool("rewrite", false, "write the results of the fixtures anew")

// TestFixtures judges each history in testdata, named by what it shows, and compares with the result beside it.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			h, err := history.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(checker.Check(h), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".jsonl") + ".json"
			if *rewrite {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(got)+"\n", string(want)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
