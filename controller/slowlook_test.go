package controller_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence"
)

// slowLook is a fence config whose reads hang once it is told so, until they are let go on or their contexts end.
type slowLook struct {
	fence.Backend
	hangs  *atomic.Bool
	looked chan struct{} // has a value once a read hangs
	goOn   chan struct{}
}

func (s slowLook) Get(ctx context.Context) (fence.Setting, error) {
	if !s.hangs.Load() {
		return s.Backend.Get(ctx)
	}
	select {
	case s.looked <- struct{}{}:
	default:
	}
	select {
	case <-s.goOn:
		return s.Backend.Get(ctx)
	case <-ctx.Done():
		return fence.Setting{}, context.Cause(ctx)
	}
}

// A decision reaches the fence config though the controller is in the middle of a look that takes long.
func TestADecisionDoesNotWaitForALook(t *testing.T) {
	s := slowLook{hangs: new(atomic.Bool), looked: make(chan struct{}, 1), goOn: make(chan struct{})}
	i := install(t)
	i.controller(t, "c1", func(cfg *controller.Config) {
		cfg.Interval, cfg.LeaseTTL = 50*time.Millisecond, 10*time.Minute // a look takes as long as half of the lease at most
		real := cfg.Backend
		cfg.Backend = func(fleet, kind string) (fence.Place, error) {
			p, err := real(fleet, kind)
			s := s
			s.Backend = p.Backend
			p.Backend = s
			return p, err
		}
	})
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	for n := range uint64(2) {
		i.announce(t, n+1, target("default", nil))
		i.applied(t, "default", n+1)
	}
	s.hangs.Store(true)
	select {
	case <-s.looked:
	case <-time.After(patience):
		t.Fatal("the controller does not look by its timer")
	}
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	i.holds(t, "default", string(image(1)))
	close(s.goOn)
	i.applied(t, "default", 1)
}
