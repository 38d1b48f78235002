package statuses

import (
	"testing"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// TestAFalseImageIsNotTold: a builder writes records and announces images by itself. One that nobody asked for is told to no forge; the
// next one that is true is.
func TestAFalseImageIsNotTold(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	producer, builder := as("producer"), as("builder")
	n, honest := 10, "as it was asked for"
	for name, lie := range map[string]func(r *messages.BuildRecord, m *messages.ImageReady){
		honest:                             func(*messages.BuildRecord, *messages.ImageReady) {},
		"of a build that nobody asked for": func(r *messages.BuildRecord, _ *messages.ImageReady) { r.Request = 1 << 40 },
		"of another build's request":       func(r *messages.BuildRecord, m *messages.ImageReady) { r.Build, m.Build = "base-lie", "base-lie" },
		"of another order":                 func(r *messages.BuildRecord, m *messages.ImageReady) { r.Order, m.Order = 77, 77 },
		"of an order that nobody gave":     func(r *messages.BuildRecord, m *messages.ImageReady) { r.Order, m.Order = 1<<60, 1<<60 },
		"of another image":                 func(_ *messages.BuildRecord, m *messages.ImageReady) { m.Image = buildstest.Image(2) },
		"for another fleet": func(_ *messages.BuildRecord, m *messages.ImageReady) {
			m.Fleets = []messages.FleetTarget{{Fleet: "other", Policy: messages.DefaultPolicy()}}
		},
		"that it doesn't have": func(r *messages.BuildRecord, _ *messages.ImageReady) { r.Outcome = nil },
	} {
		t.Run(name, func(t *testing.T) {
			a := buildstest.Submit(t, producer, buildstest.Request("base", n))
			n++
			e := requestAt(t, producer, a.Order)
			r := messages.BuildRecord{
				BuildRef: e.BuildRef(), State: messages.BuildStateSucceeded, Request: a.Order, Commit: e.Commit, Ref: e.Ref, Image: buildstest.Image(1),
			}
			m := buildstest.Ready(e)
			m.BuildRef = r.BuildRef
			r.Outcome = &messages.Message{}
			lie(&r, m)
			out, err := messages.Encode(builder.Envelope(r.Build, ""), m)
			must(t, err)
			if r.Outcome != nil {
				r.Outcome = &out
			}
			w, err := New(Config{Queue: as("statuses"), Name: "w", Targets: nil})
			must(t, err)
			if known, err := w.believed(t.Context(), &r); known != (name == honest) || err != nil {
				t.Errorf("believed: %t, %v", known, err)
			}
		})
	}
	work(t, as("statuses"), giteaTarget(t, forge))
	fake := messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "base-fake", Pipeline: "base", Order: 1}, State: messages.BuildStateSucceeded, Request: 1, Commit: buildstest.Commit(5), Image: buildstest.Image(1),
	}
	m := &messages.ImageReady{BuildRef: fake.BuildRef, Image: fake.Image, Commit: fake.Commit, HooksDir: messages.DefaultHooksDir}
	out, err := messages.Encode(builder.Envelope(fake.Build, ""), m)
	must(t, err)
	fake.Outcome = &out
	_, err = store.Builds(builder).Create(within(t), fake.Build, fake)
	must(t, err)
	must(t, builder.Publish(within(t), "", m))
	settled(t, as("admin"))
	if got := forge.texts(fake.Commit); len(got) > 0 {
		t.Errorf("the forge is told %q of what nobody asked for", got)
	}
}

// requestAt is the request at a sequence.
func requestAt(t *testing.T, c *queue.Client, sequence uint64) *messages.BuildRequested {
	t.Helper()
	m, err := c.At(within(t), c.Space().RequestsStream(), sequence)
	must(t, err)
	r, err := c.Decode(m)
	must(t, err)
	return r.Payload.(*messages.BuildRequested)
}
