// Package e2e drives the built binary as its users do: commands, webhooks, git pushes, a
// Docker engine. It knows nothing of what is inside.
package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/standalone"
)

// What TestMain finds or makes, for all tests.
var (
	root    string                             // the checkout
	tested  string                             // the fenceline under test; program tells it
	mark    = strings.ToLower(rand.Text()[:6]) // of this run of the tests
	shared  sharedStack
	started children
)

func TestMain(m *testing.M) {
	queuetest.ServeIfTold()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fenceline-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	// A buildkitd that was killed has left mounts there.
	remove := func() {
		if err := errors.Join(standalone.UnmountBelow(dir), os.RemoveAll(dir)); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: cleaning up:", err)
		}
	}
	defer remove()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go onInterrupt(interrupts, func() { started.end(); removeImages(); remove() })
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if err := os.Setenv("TMPDIR", dir); err != nil { // so that all files of the tests are removed with it
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	shared.dir = filepath.Join(dir, "shared")
	status := m.Run()
	shared.end()
	removeImages()
	return status
}

// program is the fenceline under test. Each time it looks at what the tests run, as go test sees what a test looks at
// and takes no result for one of another program; of what TestMain does it sees nothing.
func program() string {
	_, _ = os.Stat(tested)
	_ = parts()
	_, _ = os.Stat(filepath.Join(root, "examples", "post-receive"))
	return tested
}

// parts sees whether there is what the setup makes.
func parts() error {
	var missing []error
	for _, part := range []string{"bin/buildkitd", "base/busybox", "base/layer.tar.gz"} {
		_, err := os.Stat(filepath.Join(root, ".fenceline", part))
		missing = append(missing, err)
	}
	return errors.Join(missing...)
}

// fleetOf is the name of a fleet, and of its only node, that no other run of the tests has: what
// nodes keep in the engine that they share can be told apart and removed.
func fleetOf(test string) string { return "e2e-" + mark + "-" + test }

// removeImages removes what the tests' nodes kept in the Docker engine.
func removeImages() {
	ids, err := exec.Command("docker", "image", "ls", "--quiet", "--filter", "reference=fenceline.local/*/"+fleetOf("*")).Output()
	if err != nil || len(ids) == 0 {
		return
	}
	args := append([]string{"image", "rm", "--force"}, strings.Fields(string(ids))...)
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: removing the tests' images: %v: %s\n", err, out)
	}
}

// prepare finds what the tests need, and builds the program unless FENCELINE_PROGRAM names one.
func prepare(dir string) error {
	work, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the checkout: %w", err)
	}
	root = filepath.Dir(work)
	if err := parts(); err != nil {
		return fmt.Errorf("%w: make setup makes it", err)
	}
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("no Docker engine: %s: make setup starts one", out)
	}
	if tested = os.Getenv("FENCELINE_PROGRAM"); tested != "" {
		return nil
	}
	tested = filepath.Join(dir, "fenceline")
	if out, err := exec.Command("go", "build", "-o", tested, "../cmd/fenceline").CombinedOutput(); err != nil {
		return fmt.Errorf("building fenceline: %w\n%s", err, out)
	}
	return nil
}
