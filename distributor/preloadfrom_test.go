package distributor_test

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// A node fetches nothing that its fleet's list leaves out, whoever asks for it, and says why.
func TestANodeRefusesWhatIsNotAllowed(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{
			PreloadFrom: []string{"registry.example/bas"}, Preload: preload("1"),
			Bases: &messages.BasePreload{Build: "b", Images: []messages.Image{img("2")}, Threshold: all},
		})
		w.pulled()
		w.works(messages.WorkFailed, "registry.example/bas only")
		w.announce(messages.FleetRecord{PreloadFrom: []string{"registry.example"}, Preload: preload("1")})
		after(2 * time.Minute)
		w.pulled("1")
	})
}

// Behind a mirror that nodes share, a node waits for the one that is named first, and then for no one.
func TestANodeWaitsForTheFirstBehindItsMirror(t *testing.T) {
	run(t, nil, func(w *world) {
		pull := &messages.Pull{Way: messages.PullMirrors, Mirrors: []messages.Mirror{
			{URL: "http://127.0.0.1:5000"}, {URL: "http://b:5000", Labels: map[string]string{"zone": "b"}}, {URL: "http://a:5000"},
		}}
		record := messages.FleetRecord{Preload: preload("1"), Pull: pull, Firsts: []messages.First{
			{Mirror: "http://a:5000", Image: img("1"), Node: "other"}, {Mirror: "http://b:5000", Image: img("2"), Node: node},
		}}
		w.announce(record)
		w.pulled()
		w.works(messages.WorkWaiting, "")
		if got := w.last().Mirror; got != "http://a:5000" {
			t.Errorf("it says that its mirror is %q", got)
		}
		record.Firsts = nil
		w.announce(record)
		w.pulled("1")
	})
}
