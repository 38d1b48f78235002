package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// sharedStack is started by the first test that needs it and lives until the last has ended.
type sharedStack struct {
	dir   string
	once  sync.Once
	stack *stack
	err   error

	full, refusing, late *registry
}

// sharedPipelines has a pipeline for each test that shares the stack.
func (s *sharedStack) pipelines(gone string) []pipeline {
	quick := []string{"attempts: 1", "timeout: 60s"}
	return []pipeline{
		{name: "flow", fleet: fleetOf("shared")},
		{name: "hooks"},
		{name: "bad", extra: quick},
		{name: "nobase", base: "missing", extra: quick},
		{name: "noshell", base: "noshell", extra: quick},
		{name: "unreachable", repo: "http://" + gone + "/unreachable.git", extra: quick},
		{name: "registrygone", image: gone + "/exampleco/gone", extra: quick},
		{name: "registryfull", image: s.full.address + "/exampleco/full", extra: quick},
		{name: "registryrefuses", image: s.refusing.address + "/exampleco/refused", extra: quick},
		{name: "registrylate", image: s.late.address + "/exampleco/late", extra: []string{"attempts: 10"}},
		{name: "admin-hooks", base: "system"},
		{name: "libgraphite2", base: "system"},
		{name: "newrelic", base: "system"},
	}
}

func (s *sharedStack) get(t *testing.T) *stack {
	t.Helper()
	s.once.Do(func() { s.err = s.begin(context.Background()) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of fenceline's log:\n%s", s.stack.up.Tail(60))
		}
	})
	return s.stack
}

func (s *sharedStack) begin(ctx context.Context) error {
	gone, err := site.Address("127.0.0.1:0") // nobody answers there
	if err != nil {
		return err
	}
	s.full, s.refusing, s.late = newRegistry(), newRegistry(), newRegistry()
	s.full.answer(http.StatusInsufficientStorage)
	s.refusing.answer(http.StatusForbidden)
	if s.stack, err = newStack(s.dir, s.pipelines(gone), "--fleet", fleetOf("shared"), "--node", fleetOf("shared"), "--slots", "2"); err != nil {
		return err
	}
	if err := s.stack.start(ctx); err != nil {
		return err
	}
	if err := s.stack.watch.start(s.stack.Fenceline); err != nil {
		return err
	}
	return s.stack.bases(ctx)
}

func (s *sharedStack) end() {
	if s.stack != nil {
		if err := s.stack.end(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: ending the shared stack:", err)
		}
	}
}
