package tokens

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func made(t testing.TB, name string, role Role) (string, Entry) {
	t.Helper()
	token, entry, err := Make(name, role, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal(), entry
}

func TestTheFileKeepsWhoMaySignIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	ada, entry := made(t, "ada", Operator)
	vera, other := made(t, "vera@example.com", Viewer)
	for _, e := range []Entry{entry, other} {
		if err := Add(path, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := Add(path, entry); err == nil || !strings.Contains(err.Error(), "revoke it first") {
		t.Errorf("a second token of one person: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	all, err := ReadFile(path)
	if err != nil || len(all) != 2 || all[0] != entry || all[1] != other {
		t.Fatalf("it has %+v, %v", all, err)
	}
	if e, known := Find(all, " "+ada+"\n"); !known || e != entry {
		t.Errorf("a token is whose: %+v", e)
	}
	if _, known := Find(all, ada[:len(ada)-1]); known {
		t.Error("a part of a token is taken")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Revoke(path, "ada"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if all, _ := Parse(string(text)); err != nil || len(all) != 1 || !strings.HasPrefix(string(text), "# Who may sign in") {
		t.Errorf("after one was revoked it has\n%s%v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode became %v, %v", info.Mode(), err)
	}
	if err := Revoke(path, "ada"); err == nil {
		t.Error("one that there is not was revoked")
	}
	if strings.Contains(string(text), vera) {
		t.Error("the file has a token itself")
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	_, entry := made(t, "ada", Operator)
	good := entry.String()
	for text, want := range map[string]string{
		"ada operator":                          "line 1: it has 2 words",
		"# x\n\n" + good + "\n" + good:          "line 4: ada has a line already",
		strings.Replace(good, "ator", "", 1):    `line 1: there is no role "oper"`,
		strings.Replace(good, "ada", "a/b", 1):  `has '/'`,
		strings.Replace(good, "sha256:", "", 1): "64 hexadecimal digits",
		strings.Replace(good, "T", " ", 1):      "5 words",
		good[:len(good)-1]:                      "is not as 2026-01-31T12:00:00Z",
		strings.Repeat("x", 5000):               "line 1: it has 5000 bytes",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("what is this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Add(path, entry); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a file that is something else was changed: %v", err)
	}
	if _, err := Follow(path, func(error) {}); err == nil {
		t.Error("a file that is something else is followed")
	}
}

func FuzzParse(f *testing.F) {
	_, entry := made(f, "ada", Operator)
	for _, seed := range []string{entry.String(), "", "# x", "a b c d", "ada viewer sha256: x", entry.String() + "\r\n" + entry.String()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Parse(text)
		if err != nil {
			return
		}
		var lines []string
		for _, e := range all {
			lines = append(lines, e.String())
		}
		again, err := Parse(strings.Join(lines, "\n"))
		if err != nil || len(again) != len(all) {
			t.Errorf("%q reads as %+v, and that as %+v, %v", text, all, again, err)
		}
	})
}
