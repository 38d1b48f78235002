// Package katotest gives tests a cluster's kato: the stand-in, with a store of the test's own, and what can
// go wrong with it.
package katotest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Cluster is a kato with its store.
type Cluster struct {
	Program string // to run as kato: the stand-in, or what Fails made of it
	dir     string
	t       testing.TB
}

// build makes the stand-in, once for all tests of a process.
var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "katotest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	const standin = "github.com/fenceline/fenceline/fence/kato/standin"
	sources, err := exec.Command("go", "list", "-f", "{{.Dir}}", standin).Output()
	if err != nil {
		return nil, err
	}
	if _, err := os.ReadDir(strings.TrimSpace(string(sources))); err != nil { // so that go test takes no result for one of another stand-in
		return nil, err
	}
	out := filepath.Join(dir, "kato")
	cmd := exec.Command("go", "build", "-o", out, standin)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// New returns a kato whose fence component is the document: `{"docker": {"image": "a"}}`.
func New(t testing.TB, document string) *Cluster {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatalf("the stand-in for kato can't be built: %v", err)
	}
	dir, err := os.MkdirTemp("", "kato-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &Cluster{Program: filepath.Join(dir, "kato"), dir: dir, t: t}
	c.write("kato.json", `{"config": {"fence": `+document+`}, "nodes": {"10.0.0.1": ["base", "controller", "primary", "router"], "10.0.0.2": ["dea"]}}`)
	c.write("real", string(program))
	c.write("kato", string(program))
	for _, p := range []string{dir, filepath.Join(dir, "kato"), filepath.Join(dir, "real")} {
		if err := os.Chmod(p, 0o755); err != nil { // another user may run it, too
			t.Fatal(err)
		}
	}
	return c
}

// Run runs the stand-in as an administrator does, whatever Fails made of Program, and returns what it
// printed.
func (c *Cluster) Run(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(filepath.Join(c.dir, "real"), args...)
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("kato %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// Docker is what the fence component has about images.
func (c *Cluster) Docker() map[string]any {
	c.t.Helper()
	var d struct {
		Docker map[string]any `json:"docker"`
	}
	if err := json.Unmarshal([]byte(c.Run("config", "get", "-j", "fence")), &d); err != nil {
		c.t.Fatal(err)
	}
	return d.Docker
}

// Fails puts a shell script in kato's place. In it $real is the stand-in, and $dir the folder of its store.
// "" puts the stand-in back.
func (c *Cluster) Fails(script string) {
	c.t.Helper()
	text := "#!/bin/sh\ndir=" + c.dir + "\nreal=$dir/real\n" + script + "\n"
	if script == "" {
		text = "#!/bin/sh\nexec " + c.dir + "/real \"$@\"\n"
	}
	c.write("next", text)
	next := filepath.Join(c.dir, "next")
	if err := os.Chmod(next, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(next, c.Program); err != nil {
		c.t.Fatal(err)
	}
}

// File is the content of a file that a script of Fails made in $dir, or "" where there is none.
func (c *Cluster) File(name string) string {
	b, _ := os.ReadFile(filepath.Join(c.dir, name))
	return strings.TrimSpace(string(b))
}

// Keep copies a program to where every user can run it.
func (c *Cluster) Keep(program string) string {
	c.t.Helper()
	b, err := os.ReadFile(program)
	if err != nil {
		c.t.Fatal(err)
	}
	kept := filepath.Join(c.dir, "kept")
	if err := os.WriteFile(kept, b, 0o755); err != nil {
		c.t.Fatal(err)
	}
	return kept
}

// LockFile is a lock for the writers of this cluster alone.
func (c *Cluster) LockFile() string { return filepath.Join(c.dir, "lock") }

func (c *Cluster) write(name, content string) {
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
}
