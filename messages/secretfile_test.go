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

// TestWordsAreSecretsAlone: what editors, shells and people put around a secret would be part of it.
func TestWordsAreSecretsAlone(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	utf16 := func(s string) (out string) {
		for _, r := range s {
			out += string([]byte{byte(r), 0})
		}
		return out
	}
	for name, c := range map[string]struct{ text, want string }{
		"a byte order mark":         {"\ufeff" + secret + "\r\n", "byte order mark"},
		"UTF-16":                    {"\xff\xfe" + utf16(secret+"\r\n"), "UTF-16"},
		"UTF-16 without a mark":     {utf16(secret + "\r\n"), "UTF-16"},
		"quotes":                    {`"` + secret + "\"\r\n", "quotes"},
		"single quotes":             {"'" + secret + "'", "quotes"},
		"typographic quotes":        {"“" + secret + "”", "quotes"},
		"a variable":                {"WEBHOOK_SECRET=" + secret, "NAME=VALUE"},
		"a short variable":          {"KEY=" + secret, "NAME=VALUE"},
		"a variable with spaces":    {"GITEA = " + secret, "NAME=VALUE"},
		"a variable in small":       {"secret=" + secret, "NAME=VALUE"},
		"a variable of a shell":     {"export HOOK_SECRET='" + secret + "'", "NAME=VALUE"},
		"a variable of PowerShell":  {"$env:TOKEN=" + secret, "NAME=VALUE"},
		"a field":                   {"secret: " + secret, "NAME=VALUE"},
		"several lines":             {secret + "\n" + secret, "several lines"},
		"another encoding":          {secret + "\xfc", "UTF-8"},
		"a character without width": {secret + "\u200b", "can't be seen"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewSecret(c.text).Word()
			if err == nil || !w.IsZero() || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "0123") {
				t.Errorf("Word: %v; want %q, and nothing of the secret", err, c.want)
			}
		})
	}
	for _, text := range []string{
		secret, " " + secret + "\r\n", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==", "QUJD==", "ABC=", "a \"phrase\" of words", "it's", `"`, "x=y&z", "grün", "a=b=c", "token", "ghp_abcDEF",
	} {
		if w, err := NewSecret(text).Word(); err != nil || w.Reveal() != strings.TrimSpace(text) {
			t.Errorf("%q: %q, %v", text, w.Reveal(), err)
		}
	}
}
