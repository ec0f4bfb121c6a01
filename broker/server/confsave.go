package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// updateConf puts lines key=value into the broker.conf at path: in place of the last line that sets the key, or at the end. What
// else stands there stays as it is. The file is replaced as a whole, the old one is kept beside it with .bak, as RocketMQ does.
func updateConf(path, lines string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConf, err)
	}
	body := string(old)
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		body = withLine(body, line)
	}
	if err := replaceFile(path+".bak", old); err != nil {
		return err
	}
	return replaceFile(path, []byte(body))
}

// withLine returns body with the line key=value.
func withLine(body, line string) string {
	key, _, _ := strings.Cut(line, "=")
	if at := lineOf(body, key); at > 0 {
		all := strings.Split(body, "\n")
		all[at-1] = line
		return strings.Join(all, "\n")
	}
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	return body + line + "\n"
}

// replaceFile writes a file so that whoever reads it finds the old contents or the new, also after a power cut.
func replaceFile(path string, contents []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(contents)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if info, serr := os.Stat(path); err == nil && serr == nil {
		err = os.Chmod(f.Name(), info.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
