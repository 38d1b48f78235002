// Package compose runs compose.yaml as its users do, with three engines of its own, and takes
// every part of it away at the worst moments: killed, stopped, cut off. It knows nothing of
// what is inside; what must always be true it reads from the event stream and the records by
// itself, without the workers' code.
//
// shape_test.go starts a compose.yaml and what surrounds it, and containers_test.go takes its
// containers away. outages_test.go does so at the worst moments, producer_test.go at one of the
// producer's, cluster_test.go with three NATS servers, and soak_test.go at random; push_test.go
// pushes meanwhile. stackato_test.go and observe_test.go have its profiles of those names. records_test.go and heartbeats_test.go read what NATS has stored, and
// invariants_test.go judges it. main_test.go prepares and cleans up.
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
	"slices"
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

	running, interrupt = context.WithCancel(context.Background()) // ends what is being started
)

// projects begins the names of all that these tests have ever made; the number of their process
// follows.
const projects = "fenceline-e2e-"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if work, err = os.MkdirTemp("", mark+"-"); err == nil {
		defer os.RemoveAll(work)
		go onInterrupt()
		err = prepare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/compose:", err)
		return 1
	}
	removeOld()
	status := m.Run()
	shared.end()
	removeAll(mark)
	return status
}

// onInterrupt ends what was started when the tests are interrupted.
func onInterrupt() {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	s := <-interrupts
	fmt.Fprintf(os.Stderr, "e2e/compose: %s: ending what was started\n", s)
	interrupt()
	removeAll(mark)
	os.RemoveAll(work)
	os.Exit(128 + int(s.(syscall.Signal)))
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
	if err := images("make images", "fenceline:local", "fenceline-nats:local", "fenceline-registry:local", "fenceline-buildkitd:local", "fenceline-node:local"); err != nil {
		return err
	}
	if _, err := os.Stat(program()); err != nil {
		return fmt.Errorf("%w: make build makes it", err)
	}
	return nil
}

// images sees that images are there, which a command makes.
func images(maker string, names ...string) error {
	for _, image := range names {
		if out, err := exec.Command("docker", "image", "inspect", "--format", "{{.Id}}", image).CombinedOutput(); err != nil {
			return fmt.Errorf("no image %s: %s: %s makes it", image, strings.TrimSpace(string(out)), maker)
		}
	}
	return nil
}

// program is bin/fenceline. Each time it looks at that, at the images and at what containers are given, as go test sees
// what a test looks at and takes no result for one of others; of what TestMain does it sees nothing.
func program() string {
	for _, folder := range []string{".fenceline/images/built", "compose", "deploy", "scripts"} {
		_, _ = os.ReadDir(filepath.Join(root, folder))
	}
	p := filepath.Join(root, "bin", "fenceline")
	_, _ = os.Stat(p)
	return p
}

// kinds are what a project makes in the engine: how each kind is listed, by its names or what tells
// it apart, and removed.
var kinds = []struct {
	list, remove []string
}{
	{[]string{"ps", "--all", "--format", "{{.Names}}", "--filter", "name=%s"}, []string{"rm", "--force", "--volumes"}},
	{[]string{"network", "ls", "--format", "{{.Name}}", "--filter", "name=%s"}, []string{"network", "rm"}},
	{[]string{"volume", "ls", "--format", "{{.Name}}", "--filter", "name=%s"}, []string{"volume", "rm", "--force"}},
	// The base, as long as it is on its way into a registry.
	{[]string{"image", "ls", "--format", "{{.ID}}", "--filter", "label=" + ofRun + "=%s"}, []string{"image", "rm", "--force"}},
}

// ofRun is the label of the images of a run, whose names can't say it.
const ofRun = "dev.fenceline.e2e"

// removeOld removes what runs left that had no time to clean up.
func removeOld() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var names strings.Builder
	for _, kind := range kinds[:3] {
		found, err := site.Docker(ctx, listed(kind.list, projects)...)
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e/compose: looking for what earlier runs left:", err)
		}
		names.WriteString(found)
	}
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), projects+"*"))
	names.WriteString(strings.Join(folders, "\n"))
	old := map[string]bool{}
	for _, run := range regexp.MustCompile(projects+`(\d+)-run`).FindAllStringSubmatch(names.String(), -1) {
		if pid, err := strconv.Atoi(run[1]); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			old[run[0]] = true
		}
	}
	for run := range old {
		removeAll(run)
		for _, folder := range folders {
			if strings.HasPrefix(filepath.Base(folder), run) {
				os.RemoveAll(folder)
			}
		}
	}
}

// listed is a listing of what belongs to a mark.
func listed(list []string, mark string) []string {
	out := slices.Clone(list)
	out[len(out)-1] = strings.ReplaceAll(out[len(out)-1], "%s", mark)
	return out
}

// removeAll removes what projects of a run have left: nothing, where they ended by themselves. It
// looks until nothing came for a second, as what is being started may go on for a moment.
func removeAll(mark string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for empty := 0; empty < 2 && ctx.Err() == nil; empty++ {
		if empty > 0 {
			pause(ctx, time.Second)
		}
		if removed(ctx, mark) > 0 {
			empty = 0
		}
	}
}

// removed removes what is there now, and counts what could be.
func removed(ctx context.Context, mark string) (n int) {
	for _, kind := range kinds {
		found, err := site.Docker(ctx, listed(kind.list, mark)...)
		names := strings.Fields(found)
		if err == nil && len(names) > 0 {
			if _, err = site.Docker(ctx, append(slices.Clone(kind.remove), names...)...); err == nil {
				n += len(names)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e/compose: removing what is left:", err)
		}
	}
	return n
}
