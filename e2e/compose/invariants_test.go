package compose

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/e2e/invariants"
)

// ledger is what the producer said to hooks.
type ledger struct {
	mu       sync.Mutex
	accepted map[string]string // build to commit, of hooks that were answered 202
}

func (l *ledger) note(commit string, a site.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accepted == nil {
		l.accepted = map[string]string{}
	}
	for _, b := range a.Builds {
		l.accepted[b.Build] = commit
	}
}

func (l *ledger) all() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.accepted)
}

// The events that end a build.
var ends = []string{"image.ready", "build.failed", "build.superseded", "build.cancelled"}

// check reads everything there is and says which of what must always be true, by its number in
// the design, is not. All builds must have ended, and all flips have been seen.
func (s *shape) check(t *testing.T) {
	t.Helper()
	for _, n := range s.judge(t) {
		t.Errorf("not seen: %s", n)
	}
}

// judge is check, and returns which of the flips since the last time could not be judged. NATS keeps only
// the last heartbeat of each node: after a restart the nodes may have replaced their first ones, by which the fleet was
// flipped, before anybody could read them.
func (s *shape) judge(t *testing.T) (unseen []string) {
	t.Helper()
	await(t, "the end of all builds, and everything that there is to read", func(ctx context.Context) error {
		return s.settled(ctx)
	})
	broken, err := s.brokenBuilds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	flips, err := s.flips(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range slices.Concat(broken, flips.Broken) {
		t.Error(b)
	}
	for _, n := range flips.NotSeen {
		if !slices.Contains(s.told, n) {
			unseen = append(unseen, n)
		}
	}
	s.told = append(s.told, unseen...)
	t.Logf("%d flips so far, %d of them not fully seen", len(flips.Images), len(flips.NotSeen))
	return unseen
}

// settled tells whether every build that was accepted has ended, and heartbeats were read to the last flip.
func (s *shape) settled(ctx context.Context) error {
	if err := s.records.update(ctx); err != nil {
		return err
	}
	_, ended := s.ended()
	for id := range s.ledger.all() {
		if len(ended[id]) == 0 {
			return fmt.Errorf("build %s has not ended", id)
		}
	}
	for _, f := range s.records.fleetHistory() {
		if until := s.records.heartbeats.seen.Until(); !until.After(f.Stored) {
			return fmt.Errorf("no heartbeat was read since %s, and the fleet's record was written at %s", until, f.Stored)
		}
	}
	return nil
}

// ended lists the ends of each build, and how often its image was announced.
func (s *shape) ended() (ready map[string]int, ended map[string][]string) {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	ready, ended = map[string]int{}, map[string][]string{}
	for _, e := range s.records.events {
		if e.kind == "image.ready" {
			ready[e.build]++
		}
		if slices.Contains(ends, e.kind) {
			ended[e.build] = append(ended[e.build], e.kind)
		}
	}
	return ready, ended
}

// brokenBuilds sees to 1 to 3.
func (s *shape) brokenBuilds(ctx context.Context) (out []string, err error) {
	ready, ended := s.ended()
	known, err := s.records.keys(ctx, "builds")
	if err != nil {
		return nil, err
	}
	known = slices.DeleteFunc(known, func(key string) bool { return strings.HasPrefix(key, "beat.") }) // signs of life of those that run
	for id := range s.ledger.all() {
		if !slices.Contains(known, id) {
			out = append(out, fmt.Sprintf("1: %s was answered 202 and has no record", id))
		}
	}
	commits := map[string]string{}
	for _, id := range known {
		b, err := s.records.build(ctx, id)
		if err != nil {
			return nil, err
		}
		if other := commits[b.Commit]; other != "" && b.Commit != "" {
			out = append(out, fmt.Sprintf("1: %s and %s are of one push, of commit %s", id, other, b.Commit))
		}
		commits[b.Commit] = id
		if len(ended[id]) != 1 {
			out = append(out, fmt.Sprintf("2: %s ended %d times: %v", id, len(ended[id]), ended[id]))
		}
		if ready[id] > 1 {
			out = append(out, fmt.Sprintf("3: the image of %s is announced %d times", id, ready[id]))
		}
		if (b.State == "succeeded") != (ready[id] == 1) {
			out = append(out, fmt.Sprintf("3: %s is %s, and its image is announced %d times", id, b.State, ready[id]))
		}
	}
	return out, nil
}

// flips sees to 4 and 5, and that each image is flipped to once.
func (s *shape) flips(ctx context.Context) (invariants.Verdict, error) {
	v, err := invariants.Flips(s.records.fleetHistory(), &s.records.heartbeats.seen, func(id string) (invariants.Rollout, error) {
		r, err := s.records.rollout(ctx, id)
		return invariants.Rollout{Members: r.Members, Quorum: r.Policy.Quorum, Floor: r.Policy.Floor}, err
	})
	v.Followed(s.records.fenceHistory())
	return v, err
}
