package messages

import (
	"strings"
	"testing"
)

func TestAFullRefIsToldHowToWriteTheBranch(t *testing.T) {
	for s, want := range map[string]string{
		"refs/heads/main": "write main", "refs/heads/release/1.0": "write release/1.0",
		"refs/tags/v1": "is no branch", "refs/heads/refs/heads/main": "is no branch", "refs/heads/..": "is no branch",
	} {
		if err := CheckBranch(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", s, err)
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
