package controller

import (
	"sync"
	"testing"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// Two controllers share the events of a build that pins its bases and fails at once.
func TestBasesOfAFailedBuildAreNotPreloaded(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c, err := New(Config{Queue: q, Name: "c1", Backend: new(backends.Backends).Factory(q)})
	if err != nil {
		t.Fatal(err)
	}
	m := messages.Member{Fleet: "default", Node: "n1"}
	if _, err := store.Members(q).Create(t.Context(), messages.NodeKey(m.Fleet, m.Node), m); err != nil {
		t.Fatal(err)
	}
	policy := messages.DefaultPolicy()
	policy.PreloadBases = true
	for order := range uint64(30) {
		ref := messages.BuildRef{Build: messages.NewID(), Pipeline: "app", Order: order + 1}
		fleets := []messages.FleetTarget{{Fleet: "default", Policy: policy}}
		buildstest.Built(t, q, ref, fleets, func(*messages.BuildRecord) {})
		e, err := store.Builds(q).Get(t.Context(), ref.Build)
		if err != nil {
			t.Fatal(err)
		}
		b, revision := e.Value, e.Revision
		var both sync.WaitGroup
		both.Go(func() {
			if err := c.preloadBases(t.Context(), &messages.BasePinned{
				BuildRef: ref, Bases: []messages.PinnedBase{{Source: "base", Image: testImage(order)}},
				Fleets: fleets,
			}); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			b.State = messages.BuildStateFailed
			_, err := store.Builds(q).Update(t.Context(), ref.Build, b, revision)
			if err == nil {
				err = c.endBases(t.Context(), ref.Build)
			}
			if err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		f, err := store.Fleets(q).Get(t.Context(), "default")
		if err == nil && (f.Value.Bases != nil || f.Value.ID == "") {
			t.Fatalf("after build %d failed the record is %+v", order+1, f.Value)
		}
	}
}
