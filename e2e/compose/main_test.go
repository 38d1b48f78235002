// Package compose runs compose.yaml as its users do, with three engines of its own, and takes
// every part of it away at the worst moments: killed, stopped, cut off. It knows nothing of
// what is inside; what must always be true it reads from the event stream and the records by
// itself, without the workers' code.
package compose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// What TestMain finds, for all tests.
var (
	root string                                           // the checkout
	mark = fmt.Sprintf("%s%d-run", projects, os.Getpid()) // begins the names of this run's projects
	work string                                           // a folder that is removed at the end
)

// projects begins the names of all that these tests have ever made; the number of their process
// follows.
const projects = "fenceline-e2e-"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if work, err = os.MkdirTemp("", mark+"-"); err == nil {
		err = prepare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/compose:", err)
		return 1
	}
	defer os.RemoveAll(work)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-interrupts
		fmt.Fprintf(os.Stderr, "e2e/compose: %s: ending what was started\n", s)
		remove(mark)
		os.RemoveAll(work)
		os.Exit(128 + int(s.(syscall.Signal)))
	}()
	removeOld()
	status := m.Run()
	shared.end()
	remove(mark)
	return status
}

// prepare finds what the tests need.
func prepare() error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the checkout: %w", err)
	}
	root = filepath.Dir(filepath.Dir(dir))
	// Whatever would clean up after a killed run is an image that may not be to be had.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return err
	}
	for _, image := range []string{"fenceline:local", "fenceline-nats:local", "fenceline-registry:local", "fenceline-buildkitd:local", "fenceline-node:local"} {
		if out, err := exec.Command("docker", "image", "inspect", "--format", "{{.Id}}", image).CombinedOutput(); err != nil {
			return fmt.Errorf("no image %s: %s: make images makes it", image, strings.TrimSpace(string(out)))
		}
	}
	if _, err := os.Stat(program()); err != nil {
		return fmt.Errorf("%w: make build makes it", err)
	}
	return nil
}

func program() string { return filepath.Join(root, "bin", "fenceline") }

// removeOld removes what runs left that had no time to clean up.
func removeOld() {
	names, err := site.Docker(context.Background(), "ps", "--all", "--filter", "name="+projects, "--format", "{{.Names}}")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/compose: looking for what earlier runs left:", err)
	}
	for _, run := range regexp.MustCompile(projects+`(\d+)-run`).FindAllStringSubmatch(names, -1) {
		if pid, err := strconv.Atoi(run[1]); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			remove(run[0])
		}
	}
}

// remove removes what projects of a run have left: nothing, where they ended by themselves.
func remove(mark string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, kind := range []struct {
		list, remove []string
	}{
		{[]string{"ps", "--all", "--quiet", "--filter", "name=" + mark}, []string{"rm", "--force", "--volumes"}},
		{[]string{"network", "ls", "--quiet", "--filter", "name=" + mark}, []string{"network", "rm"}},
		{[]string{"volume", "ls", "--quiet", "--filter", "name=" + mark}, []string{"volume", "rm", "--force"}},
	} {
		found, err := site.Docker(ctx, kind.list...)
		if ids := strings.Fields(found); err == nil && len(ids) > 0 {
			_, err = site.Docker(ctx, append(kind.remove, ids...)...)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e/compose: removing what is left:", err)
		}
	}
}
