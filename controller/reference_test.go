package controller_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

// names waits until the fence config holds an image in a form, and the record says so.
func (i *installation) names(t *testing.T, order uint64, form messages.Reference) messages.FleetRecord {
	t.Helper()
	r := i.fleet(t, "default", "to be applied", func(r messages.FleetRecord) bool {
		return r.Current.Order == order && r.Applied.Epoch == r.Epoch && r.Applied.Value == r.FenceValue() && r.Applied.Error == ""
	})
	r.Reference = form
	// Who decided is kept with it, in either form.
	if h, err := backends.History(t.Context(), i.q, "default"); err != nil || len(h) == 0 || h[len(h)-1].Cause.Order != order || h[len(h)-1].Cause.By == "" {
		t.Errorf("the history is %+v, error %v", h, err)
	}
	if s, err := i.backend("default").Get(t.Context()); err != nil || s.Value != r.FenceValue() {
		t.Fatalf("the fence config holds %q, error %v; want %q", s.Value, err, r.FenceValue())
	}
	return r
}

func TestAFleetsFenceConfigNamesImagesInItsForm(t *testing.T) {
	i, n := installed(t, 1) // by digest
	n.awaited(t)
	local := target("default", func(p *messages.Policy) { p.Reference = messages.ReferenceLocal })
	i.announce(t, 2, local)
	i.names(t, 2, messages.ReferenceLocal)
	i.announce(t, 3, local)
	i.names(t, 3, messages.ReferenceLocal)
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	i.names(t, 2, messages.ReferenceLocal)
	if _, err := people.Rollback(t.Context(), i.q, "default", image(1).Digest(), "ada"); err != nil {
		t.Fatal(err)
	}
	r := i.names(t, 1, messages.ReferenceLocal) // though it came by digest

	// A node of an earlier version has the image, and not under the name that would be flipped to.
	n.set(func(n *simulated) { n.older = true })
	until(t, store.Nodes(i.q), messages.NodeKey("default", "n1"), "n1 to have it under another name", func(s messages.NodeStatus) bool {
		return !slices.ContainsFunc(s.Images, func(p messages.PresentImage) bool { return p.Local == r.LocalName(image(3)) })
	})
	_, err := people.Promote(t.Context(), i.q, "default", image(3).Digest(), "ada")
	if !errors.Is(err, people.ErrNotPresent) || !strings.Contains(err.Error(), "not there as fenceline.local/") {
		t.Fatalf("promoting what no node has under its name gave %v", err)
	}
	n.set(func(n *simulated) { n.older = false })
	if _, err := people.Promote(t.Context(), i.q, "default", image(3).Digest(), "ada"); err != nil {
		t.Fatal(err)
	}
	i.names(t, 3, messages.ReferenceLocal)
	if _, err := people.Release(t.Context(), i.q, "default", "ada"); err != nil {
		t.Fatal(err)
	}
	i.announce(t, 4, target("default", nil))
	i.names(t, 4, messages.ReferenceDigest)
}
