package server

import (
	"errors"
	"testing"
)

// FuzzConf: a broker.conf is refused with ErrConf, or says something that is printed and read again the same.
func FuzzConf(f *testing.F) {
	f.Add("storePathRootDir=/x\nbrokerIP1=10.0.0.1\nbindAddress=0.0.0.0\n")
	f.Add("storePathRootDir=/x\nbrokerRole=SLAVE\nbrokerId=1\nmetricsExporterType=PROM\n")
	f.Add("a=b\\\n c\n#\n\\u0041=1")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := ParseConf("f", text)
		if err != nil {
			if !errors.Is(err, ErrConf) {
				t.Errorf("%q: %v is no ErrConf", text, err)
			}
			return
		}
		printed := cfg.Properties()
		again, err := ParseConf("printed", printed)
		if err != nil || again.Properties() != printed {
			t.Errorf("%q is printed as\n%s\nand read again as\n%s%v", text, printed, again.Properties(), err)
		}
	})
}
