package route

import (
	"bytes"
	"errors"
	"testing"

	"holdfast/broker/remoting"
)

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

// FuzzKV: a kvConfig.json is refused, or its table is written down and read again the same.
func FuzzKV(f *testing.F) {
	f.Add([]byte(`{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"broker-a:4"},"n":{"k":"v","l":""}}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"configTable":{"n":null}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, again := New(DefaultConfig()), New(DefaultConfig())
		if err := r.SetKV(b); err != nil {
			if !errors.Is(err, remoting.ErrBody) {
				t.Errorf("%q: %v is no ErrBody", b, err)
			}
			return
		}
		written := r.KV()
		if err := again.SetKV(written); err != nil || !bytes.Equal(again.KV(), written) {
			t.Errorf("%q is written as %q, and read again as %q, %v", b, written, again.KV(), err)
		}
	})
}
