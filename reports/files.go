package reports

import (
	"fmt"
	"path/filepath"

	"holdfast/reports/result"
)

// Names of the files that WriteFiles makes beside results.json.
const (
	PageName  = "index.html"
	JUnitName = "junit.xml"
)

// WriteFiles writes index.html and junit.xml for r into dir, beside results.json, each at once.
func WriteFiles(dir string, r *result.Result) error {
	return fmt.Errorf("reports: %s", filepath.Join(dir, PageName))
}
