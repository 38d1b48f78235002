package messages

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadSecret(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"token": " hunter2\r\n", "empty": "", "blank": " \n", "most": strings.Repeat("k", maxSecretBytes), "more": strings.Repeat("k", maxSecretBytes+1),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NamedSecret(folder, "token")
	if err != nil || s.Reveal() != " hunter2\r\n" || s.Trimmed().Reveal() != "hunter2" {
		t.Errorf("NamedSecret: %q, %v", s.Reveal(), err)
	}
	if s, err := NamedSecret(folder, "most"); err != nil || len(s.Reveal()) != maxSecretBytes {
		t.Errorf("the largest secret: %d bytes, %v", len(s.Reveal()), err)
	}
	for name, c := range map[string]struct{ folder, name, want string }{
		"an empty file":         {folder, "empty", "is empty: put the secret into it"},
		"white space alone":     {folder, "blank", "is empty"},
		"a file too large":      {folder, "more", "has more than 512000 bytes"},
		"an endless file":       {"/dev", "zero", "has more than 512000 bytes"},
		"a folder in its place": {filepath.Dir(folder), filepath.Base(folder), "is a directory"},
		"no folder":             {"", "token", "there is no folder of secrets"},
		"a path as name":        {folder, "../" + filepath.Base(folder) + "/token", "not a plain file name"},
		"the folder above":      {folder, "..", "not a plain file name"},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := NamedSecret(c.folder, c.name); err == nil || !s.IsZero() || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NamedSecret: %q, %v; want %q", s.Reveal(), err, c.want)
			}
		})
	}
	if _, err := ReadSecret(filepath.Join(folder, "none")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), folder) {
		t.Errorf("a file that isn't there: %v", err)
	}
}
