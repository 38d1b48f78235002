package distributor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// contents are contents whose first opened mirrors lie.
type contents struct {
	mu      sync.Mutex
	lies    int
	opened  []string
	trouble []messages.MirrorTrouble
}

func (c *contents) Open(image messages.Image, mirrors []messages.Mirror) (distributor.Content, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = append(c.opened, fmt.Sprint(image.Digest()[7:8], len(mirrors)))
	return c, nil
}

func (c *contents) Troubles() []messages.MirrorTrouble {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]messages.MirrorTrouble(nil), c.trouble...)
}

func (c *contents) Manifest(context.Context, string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lies--; c.lies >= 0 {
		c.trouble = []messages.MirrorTrouble{{Mirror: "http://a:5000", Reason: "mirror http://a:5000: it lied"}, {Mirror: "http://old:5000", Reason: "of an earlier fleet"}}
		return nil, fmt.Errorf("fetching it: %w", distributor.ErrWrongBytes)
	}
	return nil, nil
}

func (c *contents) Blob(context.Context, string, int64) (io.ReadCloser, error) {
	return nil, errors.New("is not asked for")
}

func (c *contents) End(context.Context, string, int64, int) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func (c *contents) From() string { return "mirror http://b:5000" }

// The fleet's way to fetch is the node's, and a mirror that lies is passed over at once and named.
func TestANodeFetchesInItsFleetsWay(t *testing.T) {
	c := &contents{lies: 1}
	mirrors := &messages.Pull{Way: messages.PullMirrors, Mirrors: []messages.Mirror{{URL: "http://a:5000"}, {URL: "http://b:5000"}}}
	run(t, func(w *world) { w.contents = c }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Pull: mirrors})
		w.has("1")
		w.pulled()
		if got := w.last().Troubles; len(got) != 1 || got[0].Mirror != "http://a:5000" {
			t.Errorf("the heartbeat's troubles are %+v", got)
		}
		w.announce(messages.FleetRecord{Current: fleetImage("2"), Pull: &messages.Pull{Way: messages.PullLoad}})
		w.has("2")
		w.announce(messages.FleetRecord{Current: fleetImage("3"), Pull: &messages.Pull{Way: "of a later version"}})
		w.has("3")
		w.pulled("3")
		if got := strings.Join(c.opened, " "); got != "12 20" { // once, also to see what it takes
			t.Errorf("opened %s", got)
		}
		if got := w.last().Troubles; len(got) != 0 {
			t.Errorf("the troubles of mirrors that it has no more: %+v", got)
		}
		c.mu.Lock()
		c.lies = 100
		c.mu.Unlock()
		w.announce(messages.FleetRecord{Current: fleetImage("4"), Pull: mirrors})
		after(time.Second / 2)
		if got := w.last().Problems; len(got) != 1 || !strings.Contains(got[0].Reason, "wrong bytes") {
			t.Errorf("where all lie, the problems are %+v", got)
		}
	})
}

// What an image takes of the disk is asked of the mirrors that it comes from, not of its registry, which may be away;
// one that lies keeps nobody from knowing it.
func TestTheRoomForAnImageIsAskedOfItsMirrors(t *testing.T) {
	c := &contents{lies: 1}
	run(t, func(w *world) {
		w.contents, w.engine.Tells, w.engine.Free = c, true, 3<<30
		w.engine.Registry[img("1")] = enginetest.FakeImage{Layers: map[string]int64{"large": 5 << 30}}
	}, func(w *world) {
		w.announce(messages.FleetRecord{
			Preload: preload("1"),
			Pull:    &messages.Pull{Way: messages.PullMirrors, Mirrors: []messages.Mirror{{URL: "http://a:5000"}, {URL: "http://b:5000"}}},
		})
		w.works(messages.WorkFailed, "the pull needs 5")
		if got := w.last().Troubles; len(got) != 1 || got[0].Mirror != "http://a:5000" {
			t.Errorf("the heartbeat's troubles are %+v", got)
		}
	})
	if got := strings.Join(c.opened, " "); got != "12" {
		t.Errorf("opened %s", got)
	}
}

// What a node is told itself counts in place of what its fleet says, and nonsense is refused by its field.
func TestANodesOwnWayToFetch(t *testing.T) {
	c := &contents{}
	run(t, func(w *world) { w.contents, w.pull = c, &messages.Pull{Way: messages.PullLoad} }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.has("1")
		if len(c.opened) != 1 {
			t.Errorf("opened %v", c.opened)
		}
	})
	for field, pull := range map[string]*messages.Pull{
		distributor.FieldPull: {Way: "torrent"}, distributor.FieldMirrors: {Way: messages.PullMirrors, Mirrors: []messages.Mirror{{URL: "nonsense"}}},
	} {
		_, err := distributor.New(distributor.Config{Fleet: fleet, Node: node, Queue: &fakeQueue{}, Engine: &enginetest.Fake{}, Pull: pull})
		var at *queue.FieldError
		if !errors.As(err, &at) || at.Fields[0] != field {
			t.Errorf("%+v: error %v, want one of %s", pull, err, field)
		}
	}
}
