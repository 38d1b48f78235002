package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokensOfCallers(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string // in the folder
		file  string            // beside it
		want  string            // names, or a part of the error
	}{
		"a file and a folder":      {map[string]string{"ci": "one-token", "ops.token": "two-token", "..data": "x"}, "api-token", "api-token ci ops"},
		"a file of any name":       {map[string]string{"ci": "one-token"}, "API_Token", "api ci"},
		"an empty folder":          {map[string]string{}, "", "has no token: put a file"},
		"hidden files alone":       {map[string]string{"..data": "x"}, "", "has no token: put a file"},
		"a name that is none":      {map[string]string{"Ci_1": "one-token"}, "", "Ci_1 is whose it is"},
		"a token of several words": {map[string]string{"ci": "a token"}, "", "ci"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Producer{TokensDir: t.TempDir()}
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(p.TokensDir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.file != "" {
				p.TokenFile = filepath.Join(t.TempDir(), c.file)
				if err := os.WriteFile(p.TokenFile, []byte("the-file-s-token"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			all, err := p.Tokens()
			var names []string
			for _, s := range all {
				names = append(names, s.Name)
			}
			if got := strings.Join(names, " "); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
	if all, err := new(Producer).Tokens(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v; want none", all, err)
	}
	if _, err := (&Producer{TokensDir: filepath.Join(t.TempDir(), "gone")}).Tokens(); err == nil || !strings.Contains(err.Error(), "--tokens-dir") {
		t.Errorf("a folder that is not there: %v", err)
	}
}
