package distributor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages/queue"
)

// TestANodeWhoseNameAnotherHas says so, in its heartbeats and to who asks whether it is ready, until
// the other is gone.
func TestANodeWhoseNameAnotherHas(t *testing.T) {
	run(t, nil, func(w *world) {
		meet := func(n int) {
			w.queue.mu.Lock()
			w.queue.twins = n
			w.queue.mu.Unlock()
		}
		meet(1) // a predecessor's last, or an operator who retires it
		after(3 * distributor.DefaultInterval)
		if err := w.agent.Ready(t.Context()); err != nil || w.last().Twin {
			t.Errorf("met once: twin %v, ready %v", w.last().Twin, err)
		}
		meet(4)
		after(3 * distributor.DefaultInterval)
		if err := w.agent.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "a node name and a user of its own") || !w.last().Twin {
			t.Errorf("met in each heartbeat: twin %v, ready %v", w.last().Twin, err)
		}
		meet(0)
		after(5 * distributor.DefaultInterval)
		if err := w.agent.Ready(t.Context()); err != nil || w.last().Twin {
			t.Errorf("alone again: twin %v, ready %v", w.last().Twin, err)
		}
	})
}

// TestAnothersCredential ends an agent whose first heartbeat is not allowed, and none that was
// allowed before: that may come back.
func TestAnothersCredential(t *testing.T) {
	refused := errors.Join(queue.ErrForbidden)
	agent, err := distributor.New(distributor.Config{
		Fleet: fleet, Node: node, Queue: &fakeQueue{refused: refused}, Engine: &enginetest.Fake{},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := agent.Run(ctx); !errors.Is(err, queue.ErrForbidden) || !strings.Contains(err.Error(), node) || !strings.Contains(err.Error(), fleet) {
		t.Errorf("it ends with %v", err)
	}
	run(t, nil, func(w *world) {
		set := func(err error) {
			w.queue.mu.Lock()
			w.queue.refused = err
			w.queue.mu.Unlock()
		}
		set(refused)
		after(3 * distributor.DefaultInterval)
		if err := w.agent.Ready(t.Context()); !errors.Is(err, queue.ErrForbidden) {
			t.Errorf("while it is refused it is ready: %v", err)
		}
		set(nil)
		after(distributor.DefaultInterval)
		if err := w.agent.Ready(t.Context()); err != nil {
			t.Errorf("once it is allowed again: %v", err)
		}
	})
}
