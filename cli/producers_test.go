package cli

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/producer"
	"github.com/rs/zerolog"
)

// follows starts a producer of a pipeline file, and returns its address. It looks at the file when asked to alone.
func follows(t *testing.T, c *queue.Client, file string) (url string, p *producer.Producer) {
	t.Helper()
	pipelines, err := producer.LoadPipelines(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err = producer.New(producer.Config{
		Pipelines: pipelines, Queue: builds.New(c), Tokens: []producer.Token{{Name: "ci", Secret: messages.NewSecret("the-token-of-the-api")}}, LookInterval: time.Hour, Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	s := httptest.NewServer(p.Handler())
	t.Cleanup(func() {
		s.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.URL, p
}

// reloaded has a producer read its file again, and waits until holds.
func reloaded(t *testing.T, p *producer.Producer, holds func(producer.FileState) bool) {
	t.Helper()
	p.Reload()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !holds(p.File()) {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it has %+v", p.File())
		}
	}
}

// TestStatusTellsOfABadPipelineFile, as doctor does, until it is mended; and of producers that differ.
func TestStatusTellsOfABadPipelineFile(t *testing.T) {
	c := installation(t)
	dir := t.TempDir()
	file, other, token := filepath.Join(dir, "fenceline.yaml"), filepath.Join(dir, "other.yaml"), filepath.Join(dir, "token")
	clitest.Write(t, file, goodPipelines)
	clitest.Write(t, other, goodPipelines)
	clitest.Write(t, token, "the-token-of-the-api\n")
	url, p := follows(t, c, file)
	second, p2 := follows(t, c, other)
	asked := []string{"--producer", url + ", " + second, "--token-file", token}
	status := func() string { return done(t, append([]string{"status"}, asked...)...) }
	doctor := func() said { return fenceline(t, append([]string{"doctor", "producer"}, asked...)...) }

	if out := status(); strings.Contains(out, "problem") {
		t.Errorf("while all is well: %s", out)
	}
	if s := doctor(); s.status != ExitDone || !strings.Contains(s.out, file+", read ") && !strings.Contains(s.out, other+", read ") {
		t.Errorf("while all is well: %+v", s)
	}

	clitest.Write(t, file, strings.Replace(goodPipelines, "image:", "imagge:", 1))
	reloaded(t, p, func(s producer.FileState) bool { return s.Error != "" })
	want := []string{"problem: producer " + url + " can't use its pipeline file as it is since ", "the 1 pipeline read ", "stay in force", file + ":5: pipelines[0]: unknown field \"imagge\""}
	out := status()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("status has no %q: %s", w, out)
		}
	}
	if s := doctor(); s.status != ExitFailed || !strings.Contains(s.out, "imagge") {
		t.Errorf("doctor: %+v", s)
	}
	var o statusReport
	if err := json.Unmarshal([]byte(done(t, append([]string{"status", "-o", "json"}, asked...)...)), &o); err != nil || len(o.Producers) != 2 || o.Producers[0].Error == "" || o.Producers[1].Error != "" {
		t.Errorf("%v: %+v", err, o.Producers)
	}

	clitest.Write(t, file, strings.Replace(goodPipelines, "name: base", "name: renamed", 1))
	reloaded(t, p, func(s producer.FileState) bool { return s.Error == "" && s.Pipelines[0] == "renamed" })
	if out := status(); !strings.Contains(out, "problem: producers differ in their pipelines: "+url) {
		t.Errorf("status: %s", out)
	}
	clitest.Write(t, other, strings.Replace(goodPipelines, "name: base", "name: renamed", 1))
	reloaded(t, p2, func(s producer.FileState) bool { return s.Pipelines[0] == "renamed" })
	if out := status(); strings.Contains(out, "problem") {
		t.Errorf("once all have it: %s", out)
	}
}

// TestStatusWithoutAProducer says that it is away, where it was named.
func TestStatusWithoutAProducer(t *testing.T) {
	installation(t)
	token := filepath.Join(t.TempDir(), "token")
	clitest.Write(t, token, "the-token-of-the-api\n")
	if out := done(t, "status", "--producer", "http://127.0.0.1:1", "--token-file", token); !strings.Contains(out, "problem: producer http://127.0.0.1:1: the producer can't be reached") {
		t.Errorf("status: %s", out)
	}
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	if s := fenceline(t, "status", "--producer", "http://127.0.0.1:1", "--token-file", token); s.status != ExitFailed {
		t.Errorf("without its token file: %+v", s)
	}
}

// TestDoctorReadsThePipelineFile of the producer's settings.
func TestDoctorReadsThePipelineFile(t *testing.T) {
	installation(t)
	dir := t.TempDir()
	settings := filepath.Join(dir, "producer.yaml")
	clitest.Write(t, settings, "config: pipelines.yaml\nlisten: 127.0.0.1:1\n")
	clitest.Write(t, filepath.Join(dir, "pipelines.yaml"), goodPipelines)
	if s := fenceline(t, "doctor", "producer", "--settings", settings); s.status != ExitDone || !strings.Contains(s.out, "pipelines.yaml has 1 pipeline") {
		t.Errorf("%+v", s)
	}
	clitest.Write(t, filepath.Join(dir, "pipelines.yaml"), "nope: 1\n")
	if s := fenceline(t, "doctor", "producer", "--settings", settings); s.status != ExitFailed || !strings.Contains(s.out, `unknown field "nope"`) {
		t.Errorf("%+v", s)
	}
}
