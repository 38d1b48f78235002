package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// TestKill kills `fenceline up` at random moments while pushes come in, and starts it again.
// Whatever was accepted ends, once, and the fleet ends with the newest image.
func TestKill(t *testing.T) {
	const fleet = "e2e-kill"
	s := own(t, []pipeline{{name: "killed", fleet: fleet, extra: []string{"attempts: 20"}}},
		"--fleet", fleet, "--node", fleet, "--ack-wait", "3s", "--lease-ttl", "3s")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	accepted := map[string]bool{}
	var last string
	for round := range 5 {
		commit := s.commit(t, "killed", exporting(fmt.Sprintf("round-%d", round)))
		got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/killed.git", "refs/heads/main", commit))
		if err != nil || got.status != http.StatusAccepted || len(got.Builds) != 1 {
			t.Fatalf("round %d: %+v, %v", round, got, err)
		}
		last = got.Builds[0].Build
		accepted[last] = true
		// A build and its rollout take about a second: a moment anywhere in them.
		timer := time.NewTimer(time.Duration(random.Int64N(int64(1500 * time.Millisecond))))
		<-timer.C
		s.up.Kill()
		if err := s.start(t.Context()); err != nil {
			t.Fatalf("starting again after kill -9 in round %d: %v", round, err)
		}
	}
	for id := range accepted {
		if b := s.ended(t, id); b.State != "succeeded" && b.State != "superseded" {
			t.Errorf("accepted build %s ended as %+v", id, b)
		}
	}
	newest := s.ended(t, last)
	if newest.State != "succeeded" {
		t.Fatalf("the last build ended as %+v", newest)
	}
	s.awaitFence(t, newest.Image)
	s.exactly(t, accepted)
}

// commit commits and pushes without the post-receive hook: the test sends the webhook itself.
func (s *stack) commit(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	r := s.repos[name]
	if r == nil {
		var err error
		if r, err = s.git.Repository(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		s.repos[name] = r
	}
	return s.push(t, name, files)
}

// exactly sees that the builds are those that were accepted, each once, in the order of the
// history of the fence config, and each announced at most once.
func (s *stack) exactly(t *testing.T, accepted map[string]bool) {
	t.Helper()
	builds, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, b := range builds {
		seen[b.Build]++
		if !accepted[b.Build] {
			t.Errorf("build %s was never asked for", b.Build)
		}
	}
	for id := range accepted {
		if seen[id] != 1 {
			t.Errorf("accepted build %s is listed %d times", id, seen[id])
		}
	}
	history := s.history(t)
	for i := 1; i < len(history); i++ {
		if history[i].Order < history[i-1].Order {
			t.Errorf("the fence config went from order %d back to %d: %+v", history[i-1].Order, history[i].Order, history)
		}
	}
}

// TestHookAnswers sends hooks while `fenceline up` is killed: each that was answered 202 is
// there after the restart.
func TestHookAnswers(t *testing.T) {
	s := own(t, []pipeline{{name: "answers", extra: []string{"attempts: 20"}}}, "--fleet", "e2e-answers", "--ack-wait", "3s")
	commits := make([]string, 0, 12)
	for i := range cap(commits) {
		commits = append(commits, s.commit(t, "answers", exporting(fmt.Sprint(i))))
	}
	answered := make(chan string, len(commits))
	done := make(chan error, 1)
	go func() {
		defer close(answered)
		for _, c := range commits {
			got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/answers.git", "refs/heads/main", c))
			if err != nil { // the server is gone
				done <- nil
				return
			}
			if got.status == http.StatusAccepted {
				answered <- got.Builds[0].Build
			}
		}
		done <- errors.New("all were answered before the kill")
	}()
	first := <-answered
	second := <-answered
	s.up.Kill()
	if err := <-done; err != nil {
		t.Log(err)
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := []string{first, second}
	for id := range answered {
		ids = append(ids, id)
	}
	await(t, "every answered build", func(ctx context.Context) error {
		builds, err := s.builds(ctx)
		known := map[string]bool{}
		for _, b := range builds {
			known[b.Build] = true
		}
		for _, id := range ids {
			if !known[id] {
				err = errors.Join(err, fmt.Errorf("build %s was answered 202 and is not listed", id))
			}
		}
		return err
	})
}
