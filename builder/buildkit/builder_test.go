package buildkit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestFromRequestToAnnouncement takes requests through real parts: JetStream, git over HTTP,
// BuildKit and a registry.
func TestFromRequestToAnnouncement(t *testing.T) {
	daemon, registry := buildkittest.Start(t), buildkittest.NewRegistry(t)
	base := registry.Busybox(t, "base:1")
	repo := gittest.Start(t).Repository(t, "image")
	q := queuetest.Start(t).Client(t)
	solver, err := buildkit.New(buildkit.Config{Address: daemon.Address})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = solver.Close() }()
	b, err := builder.New(builder.Config{Queue: builds.New(q), Solver: solver, Name: "b1", Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- b.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-running; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}()

	ask := func(files map[string]string) messages.Payload {
		t.Helper()
		r := &messages.BuildRequested{
			Build: messages.NewBuildID("p"), Commit: repo.Commit(t, "main", files), Ref: "refs/heads/main", Cause: messages.CausePush, Received: time.Now(),
			Pipeline: messages.Pipeline{
				Name: "p", Repository: repo.URL, Branch: "main", Dockerfile: "Dockerfile", Image: registry.Host + "/out/image",
				HooksDir: messages.DefaultHooksDir, Timeout: messages.Duration(time.Minute), Attempts: 2,
			},
		}
		if _, err := builds.New(q).Request(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		return outcome(t, q, r.Build)
	}

	ready, ok := ask(map[string]string{
		"Dockerfile":        "FROM " + base + "\nADD hooks /etc/stackato/hooks\n",
		"hooks/pre-running": "#!/bin/sh\nexport A=1\nexport STACKATO_HOOK_ENV=A\n",
	}).(*messages.ImageReady)
	if !ok || len(ready.Hooks) != 1 || ready.Hooks[0] != "pre-running" {
		t.Fatalf("announced %+v", ready)
	}
	digest, err := registry.Image(t, ready.Image.Name()+":"+ready.Tag).Digest()
	if err != nil || digest.String() != ready.Image.Digest() {
		t.Errorf("the tag names %s, %v", digest, err)
	}

	failed, ok := ask(map[string]string{"hooks/pre-running": "#!/bin/sh\n\nif [ -z \"$A\" ]; then\n  A=1\n"}).(*messages.BuildFailed)
	if !ok || failed.Failure.Class != messages.FailureHooks || failed.Failure.Place != "/etc/stackato/hooks/pre-running:3" || !strings.Contains(failed.Failure.Fix, "fi") {
		t.Errorf("ended as %+v", failed)
	}
	failed, ok = ask(map[string]string{"hooks/pre-running": "#!/bin/sh\n:\n", "Dockerfile": "FROM " + base + "\nRUN echo no >&2 && false\n"}).(*messages.BuildFailed)
	if !ok || failed.Failure.Class != messages.FailureUser || failed.Failure.Place != "Dockerfile:2" {
		t.Errorf("ended as %+v", failed)
	}
}

// outcome waits for the message that ends a build.
func outcome(t *testing.T, q *queue.Client, build string) messages.Payload {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var end messages.Payload
	found := errors.New("found")
	err := q.Read(ctx, q.Space().EventsStream(), queue.ReadOptions{Follow: true}, func(r queue.Received) error {
		switch p := r.Payload.(type) {
		case *messages.ImageReady:
			if p.Build == build {
				end = p
			}
		case *messages.BuildFailed:
			if p.Build == build {
				end = p
			}
		}
		if end != nil {
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		t.Fatalf("build %s did not end: %v", build, err)
	}
	return end
}
