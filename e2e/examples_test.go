package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// examples are the folders of examples that a base of this kind can build.
func examples(t *testing.T) []string {
	if strings.TrimSpace(read(t, filepath.Join(root, ".fenceline", "base", "kind"))) == "small" {
		return []string{"admin-hooks"} // the others install packages, and no mirror can be reached
	}
	return []string{"admin-hooks", "libgraphite2", "newrelic"}
}

func TestExamplesLint(t *testing.T) {
	for _, name := range examples(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples", name))); err != nil {
				t.Fatalf("copying the example: %v", err)
			}
			if err := os.WriteFile(filepath.Join(dir, "hook.secret"), []byte(secretText), 0o600); err != nil {
				t.Fatal(err)
			}
			f := site.Fenceline{Program: program(), State: t.TempDir()}
			if out, err := f.Run(t.Context(), "lint", dir); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// downloads bounds a build that installs packages from a mirror.
const downloads = 10 * time.Minute

// TestExamples builds the examples on the base that the demo uses, and runs their
// pre-running hook as an app's container does: as the user stackato, with a network or without.
func TestExamples(t *testing.T) {
	t.Parallel()
	s := shared.get(t)
	layer, err := site.FileLayer(filepath.Join(root, ".fenceline", "base", "layer.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.pushBase(t.Context(), "system", layer); err != nil {
		t.Fatal(err)
	}
	shows := map[string]string{
		"admin-hooks":  "EXAMPLECO_SITE=production",
		"libgraphite2": "GRAPHITE2_CFLAGS=-I/usr/include/graphite2",
		"newrelic":     "newrelic-sysmond (stand-in): start",
	}
	ids := map[string]string{}
	for _, name := range examples(t) {
		if err := s.repo(t, name).Folder(t.Context(), filepath.Join(root, "examples", name)); err != nil {
			t.Fatal(err)
		}
		ids[name] = s.build(t, name, nil)
	}
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			b := s.endedWithin(t, downloads, id)
			if b.State != "succeeded" {
				t.Fatalf("it ended as %s: %+v", b.State, b.Failure)
			}
			t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "--force", b.Image).Run() })
			out, err := site.Docker(t.Context(), "--config", filepath.Join(s.State, "docker-config-node"), "run", "--rm", "--network", "none", "--user", "stackato", b.Image,
				"sh", "-c", ". /etc/stackato/hooks/pre-running; env")
			if err != nil || !strings.Contains(out, shows[name]) {
				t.Errorf("%v: its hook does not show %q but\n%s", err, shows[name], out)
			}
		})
	}
}

// TestSubmit builds a folder of this machine, without a repository.
func TestSubmit(t *testing.T) {
	s := shared.get(t)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Dockerfile":        "ARG BASE\nFROM ${BASE}\nRUN echo seen in the log\nADD hooks /etc/stackato/hooks\n",
		"hooks/pre-running": "#!/bin/sh\nexport SUBMITTED=yes\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.must(t, "submit", "hooks", "--context", dir, "--wait")
	builds, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range builds {
		if b.Pipeline == "hooks" && b.Commit == "" {
			if log := s.must(t, "logs", b.Build); b.State != "succeeded" || !strings.Contains(log, "seen in the log") {
				t.Errorf("the build ended as %+v, with the log\n%s", b, log)
			}
			return
		}
	}
	t.Errorf("no build without a commit among %+v", builds)
}
