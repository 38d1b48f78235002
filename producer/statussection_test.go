package producer

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/statuses/target"
	"github.com/rs/zerolog"
)

const statusHead = `version: 1
pipelines:
  - name: base
    repository: https://git.example.com/ops/base.git
    image: registry.example.com/ops/base
    webhook: {secret_file: hook.secret}
    status:
`

func statusFile(t *testing.T, section string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fenceline.yaml")
	if err := os.WriteFile(path, []byte(statusHead+section), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWhereStatusesGo reads it without the secrets of webhooks, which are not there.
func TestWhereStatusesGo(t *testing.T) {
	path := statusFile(t, "      {forge: gitea, token_file: forge.token, ca_file: /etc/ca.pem, target_url: \"https://console.example.com/{build}\"}\n"+
		"  - {name: other, repository: \"https://git.example.com/ops/other.git\", image: registry.example.com/ops/other}\n")
	all, err := LoadStatusTargets(path)
	want := target.Target{
		Pipeline: "base", Forge: target.Gitea, URL: "https://git.example.com", Repository: "ops/base", Context: "fenceline/base",
		TargetURL: "https://console.example.com/{build}", TokenFile: filepath.Join(filepath.Dir(path), "forge.token"), CAFile: "/etc/ca.pem",
	}
	if err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("it is %+v, %v", all, err)
	}
}

func TestMistakesInAStatusSection(t *testing.T) {
	for name, test := range map[string]struct{ section, says string }{
		"no forge":           {"      {token_file: x}\n", "fenceline.yaml:8: pipelines[0].status.forge: is missing"},
		"an unknown forge":   {"      forge: gitae\n      token_file: x\n", `fenceline.yaml:8: pipelines[0].status.forge: "gitae" takes no statuses`},
		"no token":           {"      forge: gitea\n", "pipelines[0].status.token_file: is missing"},
		"a token":            {"      forge: github\n      token_file: ghp_0123456789\n", "fenceline.yaml:9: pipelines[0].status.token_file: "},
		"an unknown field":   {"      forge: gitea\n      token: x\n", `unknown field "token"`},
		"an address":         {"      forge: gitea\n      token_file: x\n      url: ftp://git.example.com\n", "fenceline.yaml:10: pipelines[0].status.url: "},
		"a link that is bad": {"      forge: gitea\n      token_file: x\n      target_url: \"javascript:x\"\n", "fenceline.yaml:10: pipelines[0].status.target_url: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadStatusTargets(statusFile(t, test.section))
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "ghp_0123456789") {
				t.Errorf("it says %v, not %s", err, test.says)
			}
		})
	}
}

// TestATokenWithoutTLSIsWarnedOf: it can be meant, in a network of its own.
func TestATokenWithoutTLSIsWarnedOf(t *testing.T) {
	path := statusFile(t, "      {forge: gitea, url: \"http://gitea:3000\", token_file: x}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "hook.secret"), []byte(strings.Repeat("s", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := LoadPipelines(path)
	if err != nil || len(p.Warnings()) != 1 || !strings.Contains(p.Warnings()[0].String(), "without TLS") {
		t.Errorf("%v, %v", p.Warnings(), err)
	}
}

// TestStatusTargetsFollowTheFile: what changes is told, and a file with a mistake leaves all as it was.
func TestStatusTargetsFollowTheFile(t *testing.T) {
	section := func(context string) string {
		return item("    status: {forge: gitea, repository: ops/base, token_file: token, context: " + context + "}")
	}
	path := writeFile(t, section("one"))
	s := &StatusTargets{Path: path, Interval: 10 * time.Millisecond, Logger: zerolog.Nop()}
	out, err := s.Load()
	if targets := out.Statuses; err != nil || len(targets) != 1 || targets[0].Context != "one" {
		t.Fatalf("%+v, %v", targets, err)
	}
	changed := make(chan []target.Target)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Follow(ctx, func(to Outward) { changed <- to.Statuses })
	}()
	defer func() { cancel(); <-done }()
	for _, step := range []struct{ text, context string }{
		{section("two"), "two"}, {"version: 1\npipelines: x\n" + section("bad"), ""}, {section("three"), "three"}, {item(), "none"},
	} {
		if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if step.context == "" {
			continue
		}
		got := <-changed
		if step.context == "none" {
			if len(got) != 0 {
				t.Errorf("without a section: %+v", got)
			}
		} else if len(got) != 1 || got[0].Context != step.context {
			t.Errorf("it is %+v, want %s", got, step.context)
		}
	}
}
