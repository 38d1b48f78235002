package compose

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
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
// the design, is not. All builds must have ended.
func (s *shape) check(t *testing.T) {
	t.Helper()
	await(t, "the end of all builds, and everything that there is to read", func(ctx context.Context) error {
		return s.settled(ctx)
	})
	for _, broken := range s.broken(t.Context()) {
		t.Error(broken)
	}
}

// settled tells whether every build that was accepted has ended.
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

func (s *shape) broken(ctx context.Context) []string {
	out, err := s.brokenBuilds(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	more, err := s.brokenFlips(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	return append(out, more...)
}

// brokenBuilds sees to 1 to 3.
func (s *shape) brokenBuilds(ctx context.Context) (out []string, err error) {
	ready, ended := s.ended()
	known, err := s.records.keys(ctx, "builds")
	if err != nil {
		return nil, err
	}
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

// brokenFlips sees to 4 and 5, and that each image is flipped to once.
func (s *shape) brokenFlips(ctx context.Context) (out []string, err error) {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	var before fleetRecord
	var images []string
	listened := 0
	for _, revision := range slices.Sorted(maps.Keys(s.records.fleets)) {
		now := s.records.fleets[revision]
		if now.Epoch != before.Epoch && now.Current.Image != before.Current.Image {
			images = append(images, now.Current.Image)
			if now.Current.Order <= before.Current.Order {
				out = append(out, fmt.Sprintf("5: a flip from order %d to %d", before.Current.Order, now.Current.Order))
			}
			if before.Hold != nil && now.Hold != nil {
				out = append(out, fmt.Sprintf("5: a flip to %s under a hold", now.Current.Image))
			}
			if s.records.puts[now.Decision] != nil {
				listened++
			}
			why, err := s.lacking(ctx, now)
			if err != nil {
				return nil, err
			}
			if why != "" {
				out = append(out, "4: "+why)
			}
		}
		if now.Epoch < before.Epoch {
			out = append(out, fmt.Sprintf("5: the epoch went from %d to %d", before.Epoch, now.Epoch))
		}
		before = now
	}
	if 2*listened < len(images) {
		out = append(out, fmt.Sprintf("4: only %d of %d flips were listened to", listened, len(images)))
	}
	if twice := duplicates(images); len(twice) > 0 {
		out = append(out, fmt.Sprintf("5: flipped to more than once: %v", twice))
	}
	var values []string
	for _, revision := range slices.Sorted(maps.Keys(s.records.fence)) {
		values = append(values, s.records.fence[revision])
	}
	// The fence config follows the decisions; one that was overtaken may be left out.
	at := 0
	for _, v := range slices.Compact(values) {
		next := slices.Index(images[at:], v)
		if next < 0 {
			out = append(out, fmt.Sprintf("5: the fence config had %s, out of the order of the decisions %v", v, images))
			break
		}
		at += next + 1
	}
	return out, nil
}

func duplicates(all []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

// lacking says what a flip lacked: a quorum of the rollout's members whose last three
// heartbeats had the image. Of one that was written while nobody could listen it says nothing.
func (s *shape) lacking(ctx context.Context, flip fleetRecord) (string, error) {
	r, err := s.records.rollout(ctx, flip.Current.Rollout)
	if err != nil {
		return "", err
	}
	had, listened := s.records.puts[flip.Decision]
	if !listened {
		return "", nil
	}
	have := 0
	for _, member := range r.Members {
		if had[flip.Current.Image][member] {
			have++
		}
	}
	need := max(r.Policy.Floor, (len(r.Members)*r.Policy.Quorum+99)/100)
	if len(r.Members) == 0 || have < need {
		return fmt.Sprintf("flipped to %s when %v of %v had it, and %d had to", flip.Current.Image, had[flip.Current.Image], r.Members, need), nil
	}
	return "", nil
}
