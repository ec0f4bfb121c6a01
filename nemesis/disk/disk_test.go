package disk

import (
	"context"
	"testing"
)

func TestSelfTest(t *testing.T) {
	c, err := Start(context.Background(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := SelfTest(context.Background(), c, t.TempDir()); err != nil {
		t.Fatal(err)
	}
}
