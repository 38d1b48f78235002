package messages

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestSeenRefs(t *testing.T) {
	var s SeenRefs
	if s.Has("refs/heads/main", "a") {
		t.Error("nothing has been seen, and it is")
	}
	s = s.With(map[string]string{"refs/heads/main": "a", "refs/tags/v1": "a"})
	s = s.With(map[string]string{"refs/heads/main": "b"})
	for ref, c := range map[string]string{"refs/heads/main": "a", "refs/heads/main ": "b", "refs/tags/v1": "a"} {
		if got := s.Has(ref, c); got != (ref != "refs/heads/main ") {
			t.Errorf("%q at %s: %v", ref, c, got)
		}
	}
	if !s.Has("refs/heads/main", "b") || s.len() != 3 {
		t.Errorf("%d are seen", s.len())
	}
	if same := s.With(map[string]string{"refs/heads/main": "b"}); string(same) != string(s) {
		t.Error("what was seen before changes it")
	}
}

// TestSeenRefsAreBounded has a branch that moves for years, and then a repository of very many tags.
func TestSeenRefsAreBounded(t *testing.T) {
	var s SeenRefs
	tags := map[string]string{}
	for i := range 10_000 {
		tags[fmt.Sprintf("refs/tags/v%d", i)] = "a"
	}
	s = s.With(tags)
	for round := range 10 {
		moved := map[string]string{}
		for i := range 10_000 {
			moved[fmt.Sprintf("refs/heads/%d-%d", round, i)] = "a"
		}
		for tag := range tags {
			moved[tag] = "a"
		}
		if s = s.With(moved); s.len() > seenMost || !s.Has("refs/tags/v77", "a") {
			t.Fatalf("after %d rounds: %d are seen, among them the tags: %v", round+1, s.len(), s.Has("refs/tags/v77", "a"))
		}
	}
}

// TestSeenRefsFitIntoARecord has a repository as large as is listed be replaced by another.
func TestSeenRefsFitIntoARecord(t *testing.T) {
	var s SeenRefs
	for round := range 3 {
		refs := map[string]string{}
		for i := range 100_000 {
			refs[fmt.Sprintf("refs/tags/v%d", i)] = fmt.Sprint(round)
		}
		s = s.With(refs)
		record, err := json.Marshal(&RepositoryPoll{Seen: s})
		if err != nil || len(record) > 1_000_000 || !s.Has("refs/tags/v77", fmt.Sprint(round)) {
			t.Fatalf("round %d: %d bytes, %v", round, len(record), err)
		}
	}
}

func TestATroubleKeepsItsBeginning(t *testing.T) {
	var p RepositoryPoll
	first := time.Unix(1, 0)
	p.Trouble("away", first)
	p.Trouble("still away", first.Add(time.Hour))
	if !p.Since.Equal(first) || p.Problem != "still away" {
		t.Errorf("%+v", p)
	}
	if p.Trouble("", first); !p.Since.IsZero() || p.Problem != "" {
		t.Errorf("over it is %+v", p)
	}
}
