package server

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUpdateConf changes a file by hand-made edits and compares it byte by byte, the copy of the old one, and what is read back.
func TestUpdateConf(t *testing.T) {
	for _, tt := range []struct{ name, old, lines, want string }{
		{"in place", "# group\nbrokerName=a\n\nslaveReadEnable = false\nlistenPort=0\n", "slaveReadEnable=true\n", "# group\nbrokerName=a\n\nslaveReadEnable=true\nlistenPort=0\n"},
		{"the last of two counts", "listenPort=0\nmaxMessageSize=1\nmaxMessageSize=2\n", "maxMessageSize=3\n", "listenPort=0\nmaxMessageSize=1\nmaxMessageSize=3\n"},
		{"at the end", "listenPort=0", "brokerPermission=4\nnamesrvAddr=a;b\n", "listenPort=0\nbrokerPermission=4\nnamesrvAddr=a;b\n"},
		{"not in a comment", "#slaveReadEnable=false\n", "slaveReadEnable=true\n", "#slaveReadEnable=false\nslaveReadEnable=true\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "broker.conf")
			if err := os.WriteFile(path, []byte(tt.old), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := updateConf(path, tt.lines); err != nil {
				t.Fatal(err)
			}
			for file, want := range map[string]string{path: tt.want, path + ".bak": tt.old} {
				if got, err := os.ReadFile(file); string(got) != want || err != nil {
					t.Errorf("%s: got %q %v, want %q", filepath.Base(file), got, err, want)
				}
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode: got %v %v, want 0640", info.Mode(), err)
			}
		})
	}
	if err := updateConf(filepath.Join(t.TempDir(), "none.conf"), "a=b\n"); err == nil {
		t.Error("a file that is not there was updated")
	}
}

// TestConfRoundTrip reads back what Properties prints: every setting that is printed can stand in a broker.conf and says the same.
func TestConfRoundTrip(t *testing.T) {
	cfg, err := ParseConf("broker.conf", "storePathRootDir=/s\nbrokerName=b\nslaveReadEnable=true\nbrokerPermission=4\nnamesrvAddr=a:1;b:2\nflushIntervalCommitLog=77\n")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseConf("printed", cfg.Node.Properties()+"storePathRootDir=/s\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.Node.Properties(), cfg.Node.Properties(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
