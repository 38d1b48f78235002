// Package clitest has what the tests of commands share.
package clitest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Write writes a file, and the folders that it is in.
func Write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// Golden compares with a file, or writes it with -update.
func Golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: 'go test -update' writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s has\n%s\nand this is\n%s\n'go test -update' writes it anew", path, want, got)
	}
}

// Output is what a command that runs on has printed so far.
type Output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	until   string
	reached chan struct{} // closed when until was printed
}

// Write takes what is printed.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.until != "" && strings.Contains(o.text.String(), o.until) {
		o.until = ""
		close(o.reached)
	}
	return len(p), nil
}

// Await returns a channel that is closed once text was printed.
func (o *Output) Await(text string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until, o.reached = text, make(chan struct{})
	if strings.Contains(o.text.String(), text) {
		o.until = ""
		close(o.reached)
	}
	return o.reached
}

// String is what was printed.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
