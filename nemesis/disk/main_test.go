package disk

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if code, ok := Main(); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
