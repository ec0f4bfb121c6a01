package reports

import (
	"fmt"
	"testing"
)

func TestX(t *testing.T) {
	r := sample(20)
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	fmt.Print(Text(r, "out/m", 120, false))
}
