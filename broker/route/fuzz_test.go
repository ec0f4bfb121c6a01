package route

import "testing"

// FuzzMetadata: a controller's file that anything happened to is refused or read, and what was read is written down again.
func FuzzMetadata(f *testing.F) {
	c, err := NewController(DefaultControllerConfig(), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Metadata())
	f.Add([]byte("{}"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := NewController(DefaultControllerConfig(), b)
		if err != nil {
			return
		}
		if _, err := NewController(DefaultControllerConfig(), c.Metadata()); err != nil {
			t.Errorf("what was read from %q is written as %q: %v", b, c.Metadata(), err)
		}
	})
}
