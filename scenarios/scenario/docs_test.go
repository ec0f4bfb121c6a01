package scenario

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedFiles holds that what docs/format.md shows as files can be parsed as they stand.
func TestDocumentedFiles(t *testing.T) {
	data, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	seen := map[string]int{}
	for _, block := range blocks {
		var err error
		switch text := block[1]; {
		case strings.HasPrefix(text, "scenario:"):
			seen["scenario"]++
			_, err = Parse("format.md", []byte(text))
		case strings.HasPrefix(text, "plan:"):
			seen["plan"]++
			_, err = Parse("format.md", []byte(head+text))
		case strings.HasPrefix(text, "schedule:"):
			seen["schedule"]++
			_, err = ParseSchedule("format.md", []byte(text))
		}
		if err != nil {
			t.Errorf("%v\nin:\n%s", err, block[1])
		}
	}
	if seen["scenario"] != 1 || seen["plan"] != 1 || seen["schedule"] != 1 {
		t.Errorf("one of each must be there: %v", seen)
	}
}
