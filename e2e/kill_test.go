package e2e

import (
	"crypto/rand"
	"crypto/sha1"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestKill kills `fenceline up` at random moments while pushes come in, and starts it again.
// Whatever was accepted ends, once, and the fleet ends with the newest image.
func TestKill(t *testing.T) {
	fleet := fleetOf("kill")
	s := own(t, []pipeline{{name: "killed", fleet: fleet, extra: []string{"attempts: 20"}}},
		"--fleet", fleet, "--node", fleet, "--ack-wait", "3s", "--lease-ttl", "3s")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 0))
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
// history of the fence config.
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

// TestHookAnswers kills `fenceline up` while it takes hooks: each that was answered 202 is there
// after the restart.
func TestHookAnswers(t *testing.T) {
	s := own(t, []pipeline{{name: "answers"}}, "--fleet", fleetOf("answers"), "--ack-wait", "3s")
	s.commit(t, "answers", exporting("answers"))
	answered := make(chan string, 1000)
	go func() {
		defer close(answered)
		for { // until nobody answers
			commit := fmt.Sprintf("%x", sha1.Sum([]byte(rand.Text())))
			got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/answers.git", "refs/heads/main", commit))
			if err != nil {
				return
			}
			if got.status == http.StatusAccepted {
				answered <- got.Builds[0].Build
			}
		}
	}()
	var ids []string
	for id := range answered {
		if ids = append(ids, id); len(ids) == 5 {
			s.up.Kill()
		}
	}
	if len(ids) < 5 {
		t.Fatalf("only %d hooks were answered before the kill", len(ids))
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	builds, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !slices.ContainsFunc(builds, func(b build) bool { return b.Build == id }) {
			t.Errorf("build %s was answered 202 and is not listed", id)
		}
	}
}
