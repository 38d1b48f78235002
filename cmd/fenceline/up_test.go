package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/standalone"
)

// start runs a command that runs on, and returns once it has printed until. Stop ends it
// as a signal does, and returns its status.
func start(t *testing.T, until string, args ...string) (log *clitest.Output, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log = new(clitest.Output)
	reached := log.Await(until)
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, strings.NewReader(""), io.Discard, log) }()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	select {
	case <-reached:
	case status := <-ended:
		t.Fatalf("fenceline %v ended with %d: %s", args, status, log)
	case <-time.After(time.Minute):
		t.Fatalf("fenceline %v never printed %q: %s", args, until, log)
	}
	return log, stop
}

// upArgs is an `up` on free ports, of which NATS may have to take its own again, over parts that are not there: no buildkitd, no engine.
func upArgs(t *testing.T, dir string) []string {
	t.Helper()
	clitest.Write(t, filepath.Join(dir, "hook"), "a-secret-for-webhooks-of-base\n")
	config := filepath.Join(dir, "fenceline.yaml")
	clitest.Write(t, config, strings.ReplaceAll(goodPipelines, "    image:", "    webhook: {secret_file: hook}\n    image:"))
	none := "unix://" + filepath.Join(dir, "none.sock")
	return []string{
		"up", "--state", filepath.Join(dir, "state"), "--config", config, "--listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0",
		"--nats-listen", free(t), "--buildkitd", none, "--docker-host", none, "--node", "n1", "-v",
	}
}

// TestUpWithoutItsParts accepts and keeps what it is told while buildkitd and the engine are
// away, says what is wrong, and ends well.
func TestUpWithoutItsParts(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	t.Setenv(settings.StateVariable, state)
	log, stop := start(t, "fenceline status", upArgs(t, dir)...)
	c, err := standalone.ReadClient(state)
	if err != nil {
		t.Fatal(err)
	}
	if s := fenceline(t, upArgs(t, dir)...); s.status != cli.ExitFailed || !strings.Contains(s.err, fmt.Sprint(os.Getpid())) {
		t.Errorf("a second one on the folder: %+v", s)
	}
	status, answer := get(t, c.Producer+"/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(answer, "none.sock") {
		t.Errorf("readiness is %d, %s", status, answer)
	}
	if status, answer := get(t, c.Producer+"/healthz"); status != http.StatusOK {
		t.Errorf("health is %d, %s", status, answer)
	}
	in := strings.Repeat("0", 40) + " " + commit + " refs/heads/main\n"
	s := withInput(t, in, "notify", "--url", c.Producer+"/hooks/generic", "--repository", repository, "--secret-file", filepath.Join(dir, "hook"))
	if s.status != cli.ExitDone || !strings.Contains(s.out, "order 1") {
		t.Errorf("a push: %+v", s)
	}
	if s := fenceline(t, "submit", "nobody"); s.status != cli.ExitFailed || !strings.Contains(s.err, `no pipeline "nobody"`) {
		t.Errorf("an unknown pipeline: %+v", s)
	}
	if s := fenceline(t, "doctor", "distributor", "--docker-host", "unix:///none.sock"); s.status != cli.ExitFailed || !strings.Contains(s.out, "PROBLEM") {
		t.Errorf("doctor without an engine: %+v", s)
	}
	if s := fenceline(t, "doctor", "builder"); s.status != cli.ExitFailed || !strings.Contains(s.out, "none.sock") {
		t.Errorf("doctor without a buildkitd: %+v", s)
	}
	done(t, "doctor", "controller")
	if code := stop(); code != cli.ExitDone {
		t.Errorf("it ended with %d", code)
	}
	if s := fenceline(t, "status"); s.status != cli.ExitFailed || !strings.Contains(s.err, "start it again") {
		t.Errorf("once it has ended: %+v", s)
	}
	if strings.Contains(log.String(), "Violation") {
		t.Errorf("a role asks for what it may not, and the server says so: %s", log)
	}
	hidden(t, log.String(), filepath.Join(dir, "hook"), filepath.Join(state, "secrets"))

	_, stop = start(t, "fenceline status", upArgs(t, dir)...)
	var builds []struct{ Commit string }
	if err := json.Unmarshal([]byte(done(t, "builds", "-o", "json")), &builds); err != nil || len(builds) != 1 || builds[0].Commit != commit {
		t.Errorf("after a restart there are %+v, %v", builds, err)
	}
	if code := stop(); code != cli.ExitDone {
		t.Errorf("it ended with %d", code)
	}
}

// TestAStopDuringTheStartIsNoError tells `up` to stop before it begins and at moments of its start.
func TestAStopDuringTheStartIsNoError(t *testing.T) {
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, 120 * time.Millisecond, 250 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			args := upArgs(t, t.TempDir())
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			log := new(clitest.Output)
			if status := run(ctx, args, strings.NewReader(""), io.Discard, log); status != cli.ExitDone {
				t.Errorf("it ended with %d: %s", status, log)
			}
		})
	}
}

// hidden fails the test where text has a secret of one of the files.
func hidden(t *testing.T, text string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(file string, e os.DirEntry, err error) error {
			if err != nil {
				t.Error(err)
				return nil
			}
			if e.IsDir() {
				return nil
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
			}
			if secret := strings.TrimSpace(string(b)); strings.Contains(text, secret) {
				t.Errorf("the log has the secret of %s", file)
			}
			return nil
		})
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
