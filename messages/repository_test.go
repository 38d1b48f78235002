package messages

import (
	"os/exec"
	"strings"
	"testing"
)

func TestAFullRefIsToldHowToWriteTheBranch(t *testing.T) {
	for s, want := range map[string]string{
		"refs/heads/main": "write main", "refs/heads/release/1.0": "write release/1.0",
		"refs/tags/v1": "is no branch", "refs/heads/..": "is no branch",
	} {
		if _, err := WrittenBranch(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		"main": "main", "refs/heads/refs/heads/x": "refs/heads/x", "refs/heads/refs/tags/v1": "refs/tags/v1", "refs": "refs", "-x": "-x",
	} {
		if got, err := WrittenBranch(s); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", s, got, err, want)
		}
	}
}

// TestBranchesAreThoseOfGit asks git itself about each.
func TestBranchesAreThoseOfGit(t *testing.T) {
	for _, s := range []string{
		"main", "release/1.0", "-x", "--upload-pack=x", "refs/heads/x", "refs/x", "HEAD", "@", "a@b", "@/x", "grün", "名前/一",
		strings.Repeat("x", 201), strings.Repeat("long/", 200) + "x", "x-", "a{b", "a}b", "$(x)", "a;b", "a'b\"c", "a&b#c%20", "a|b", "!x", "a=b",
		"x.lock.y", "a.b", "lock", "a\u0085b",
		"", "a..b", ".a", "a/.b", "a.lock", "a.lock/b", "a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a@{b", "@{", "a.", "a/", "/a", "a//b", "a\nb", "a\x7fb", "a\tb",
	} {
		legal := exec.Command("git", "check-ref-format", "refs/heads/"+s).Run() == nil
		if err := CheckBranch(s); (err == nil) != legal {
			t.Errorf("%q: CheckBranch says %v, git that it is legal: %v", s, err, legal)
		}
	}
	for _, s := range []string{"a\xffb", strings.Repeat("x", 5000)} {
		if CheckBranch(s) == nil {
			t.Errorf("%.20q is taken", s)
		}
	}
}

func TestRepositoryErrorsHideCredentials(t *testing.T) {
	for _, s := range []string{
		"https://u:hunter2@host/a.git", "https://hunter2@host/a.git", "https://hunter2@host/a", "u:hunter2@host/a.git",
		"gopher://hunter2@host/a.git", "https://u:hunter2@ho st/a.git", "https://host/a.git?token=hunter2", "https://host/a.git#hunter2",
		"ssh://u:hunter2@host/a.git", "https://host/a?token=hunter2",
	} {
		if err := CheckRepository(s); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q gives %v", s, err)
		}
	}
}
