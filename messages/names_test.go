package messages

import (
	"errors"
	"strings"
	"testing"
)

func TestChecks(t *testing.T) {
	label := func(s string) error { return CheckName("node", s) }
	id := func(s string) error { return CheckID("build", s) }
	image := func(s string) error { _, err := ParseImage(s); return err }
	trace := func(s string) error {
		if !validTraceparent(s) {
			return errors.New("refused")
		}
		return nil
	}
	long := strings.Repeat("a", 63)
	for name, c := range map[string]struct {
		check     func(string) error
		good, bad []string
	}{
		"name": {label, []string{"a", "dea-1", "0", long}, []string{"", "-a", "a-", "a.b", "A", "a_b", "é", "a\n", long + "a", "\xff"}},
		"ID":   {id, []string{"p-abc", "1"}, []string{"", "a.b", "a b", "A", "a\x00", strings.Repeat("a", 201)}},
		"commit": {CheckCommit, []string{sampleCommit, strings.Repeat("0f", 32)},
			[]string{"", "main", sampleCommit[:39], sampleCommit + "\n", strings.ToUpper(sampleCommit), "--upload-pack=x"}},
		"traceparent": {trace, []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, []string{
			"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01",
			"00-4bf92f3577b34da6a3ce929d0e0e4736-" + strings.Repeat("0", 16) + "-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
		}},
		"digest": {CheckDigest, []string{sampleDigest}, []string{"", "sha256:", sampleDigest + "0", "sha512" + sampleDigest[6:], sampleDigest + "\n"}},
		"image name": {CheckImageName,
			[]string{"exampleco/newimg", "localhost:5000/a", "127.0.0.1:8441/a/b", "registry.example.com/a__b/c-d.e"},
			[]string{"", "a:tag", "a@" + sampleDigest, "-x/a", "a/", "/a", "A/b", "a//b", "h:port/a", "a,b", "a b", "a\n", "http://h/a", strings.Repeat("a", 256)}},
		"image":       {image, []string{string(sampleImage)}, []string{"", "a", "a:latest", "@" + sampleDigest, "a@sha256:1", "a@" + sampleDigest + "@" + sampleDigest}},
		"secret name": {CheckSecretName, []string{"git-token", "a.b_c"}, []string{"", ".", "..", "../x", "a/b", ".hidden", "-x", "a b", strings.Repeat("a", 101)}},
		"tag":         {checkTag, []string{"", "latest", "_a.b-c"}, []string{".a", "-a", "a/b", "a:b", strings.Repeat("a", 129)}},
		"branch": {CheckBranch, []string{"main", "release/1.0", "ünicode", "a@b", "refs", "a/refs/heads/b", "refs/heads/main", "refs/tags/v1", "-x", "@", strings.Repeat("a", 201)},
			[]string{"", "refs/heads/", "/a", "a/", "a//b", "a..b", "a.lock", "a.lock/b", ".a", "a/.b", "a.", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", `a\b`, "a@{1}", "a\n", "a\x7f", "\xff", strings.Repeat("a", 4001)}},
		"repository": {CheckRepository,
			[]string{"https://git.example.com/a.git", "http://127.0.0.1:8450/a.git", "git://host/a.git"},
			[]string{"", "a.git", "/srv/a.git", "file:///srv/a.git", "git@host:a.git", "ssh://git@host/a.git", "ssh://host/a.git", "ext::sh", "https://host/a", "https:///a.git", "https://:80/a.git",
				"ssh://-oProxyCommand=x/a.git", "https://u:p@host/a.git", "https://token@host/a.git", "https://host/a.git?x=y", "https://host/a.git#x", "https://host/a.git#", "https://host/a.git?", "https://host/a\n.git"}},
		"path inside": {checkInside, []string{"", ".", "a", "a/../b", "..a"}, []string{"/a", "..", "../a", "a/../..", "a/../../b", "a\x00", "a\nb", "a#b", "a?b"}},
		"hooks_dir":   {checkHooksDir, []string{"/etc/stackato/hooks", "/hooks/"}, []string{"", "hooks", "/etc/../hooks", "/a\nb"}},
	} {
		for _, s := range c.good {
			if err := c.check(s); err != nil {
				t.Errorf("%s %q is refused: %v", name, s, err)
			}
		}
		for _, s := range c.bad {
			if err := c.check(s); err == nil {
				t.Errorf("%s %q is taken", name, s)
			}
		}
	}
}

func TestNewBuildID(t *testing.T) {
	longest := strings.Repeat("p", MaxNameLength)
	a, b := NewBuildID(longest), NewBuildID(longest)
	if a == b {
		t.Errorf("two builds are both %s", a)
	}
	if err := CheckID("rollout", RolloutID(strings.Repeat("f", MaxNameLength), a)); err != nil {
		t.Errorf("the longest rollout ID is refused: %v", err)
	}
}
