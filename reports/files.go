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
	page, err := Page(r)
	if err != nil {
		return fmt.Errorf("reports: %w", err)
	}
	junit, err := JUnit(r)
	if err != nil {
		return fmt.Errorf("reports: %w", err)
	}
	if err := result.WriteFile(filepath.Join(dir, PageName), page); err != nil {
		return fmt.Errorf("reports: %w", err)
	}
	if err := result.WriteFile(filepath.Join(dir, JUnitName), junit); err != nil {
		return fmt.Errorf("reports: %w", err)
	}
	return nil
}
