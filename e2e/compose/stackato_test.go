package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// kept is a place of the profile stackato where the fence config can live, as others meet it.
type kept struct {
	env     map[string]string // of compose.yaml
	service string            // whose containers hold it
	get     []string          // a command there, that prints the document or the value
	set     func(image string) []string
	away    []string // takes the store away, where that is not its container
	back    []string
	lost    string // what status says meanwhile
}

// document is the fence component's, with one image in its list.
func document(image string) string {
	return `{"docker":{"images":["` + image + `"],"port":4243},"max":12345678901234567890}`
}

const core = "fenceline-core:local"

var places = map[string]kept{
	"confdis": {
		env:     map[string]string{"FENCELINE_FENCE": "confdis", "FENCELINE_REDIS_URI": "redis://redis:7474/0"},
		service: "redis",
		get:     []string{"redis-cli", "-p", "7474", "get", "fence"},
		set: func(image string) []string {
			return []string{"redis-cli", "-p", "7474", "set", "fence", document(image)}
		},
		lost: "can't be",
	},
	"kato": {
		env:     map[string]string{"FENCELINE_FENCE": "kato", "FENCELINE_LEASE_TTL": "20s"},
		service: "controller",
		get:     []string{"kato", "config", "get", "-j", "fence"},
		set: func(image string) []string {
			return []string{"kato", "config", "set", "-j", "fence", "docker/images", `["` + image + `"]`}
		},
		away: []string{"mv", "/var/lib/kato/kato.json", "/var/lib/kato/away"},
		back: []string{"mv", "/var/lib/kato/away", "/var/lib/kato/kato.json"},
		lost: "kato",
	},
	"exec": {
		env:     map[string]string{"FENCELINE_FENCE": "exec", "FENCELINE_FENCE_GET": "file-get {fleet}", "FENCELINE_FENCE_SET": "file-set {fleet}"},
		service: "controller",
		get:     []string{"file-get", fleet},
		set: func(image string) []string {
			return []string{"sh", "-c", "cd /var/lib/kato && printf '%s\\n' " + image + " >by-hand && mv by-hand " + fleet} // at once: it is read all the time
		},
		away: []string{"sh", "-c", "cd /var/lib/kato && mv production away && mkdir production"},
		back: []string{"sh", "-c", "cd /var/lib/kato && rmdir production && mv away production"},
		lost: "file-get",
	},
}

// TestStackato goes through a fleet's life where a Stackato cluster keeps the fence config, on nodes with the
// oldest engine and with that of today: pushes, a rollback, a change by hand, an outage.
func TestStackato(t *testing.T) {
	if err := images("scripts/images stackato", "fenceline-redis:local", core, "fenceline-node29:local"); err != nil {
		t.Fatal(err)
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) { place.live(t, name) })
	}
}

func (k kept) live(t *testing.T, name string) {
	k.env["FENCELINE_CONTROLLER_IMAGE"] = core
	s, err := startWith(running, mark+"-"+name, 1, k.env, "stackato")
	if s != nil {
		s.onFailure(t)
		t.Cleanup(func() {
			if err := s.end(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	const before, byHand = "stackato/stack-alsek", "exampleco/newimg:by-hand"
	s.docker(t, s.inStore(t, k, k.set(before))...)
	s.engines(t, "20.", "29.")

	first := s.push(t, quick())
	s.storeHas(t, k, s.imageOf(t, first), before)
	second := s.push(t, quick())
	s.storeHas(t, k, s.imageOf(t, second), s.imageOf(t, first), before)

	s.must(t, "rollback")
	s.storeHas(t, k, s.imageOf(t, first), s.imageOf(t, second), before)
	s.must(t, "release")

	s.docker(t, s.inStore(t, k, k.set(byHand))...)
	s.says(t, byHand, "by somebody else")
	s.storeHas(t, k, byHand)
	s.must(t, "release")
	s.storeHas(t, k, s.imageOf(t, first))

	giveBack := s.outOfReach(t, k)
	third := s.push(t, quick())
	s.says(t, k.lost)
	giveBack()
	s.storeHas(t, k, s.imageOf(t, third))
	s.healthy(t)
}

// inStore are the words to docker that run a command where the store is.
func (s *shape) inStore(t *testing.T, k kept, words []string) []string {
	t.Helper()
	return append([]string{"exec", string(s.the(t, k.service))}, words...)
}

// outOfReach takes the store away.
func (s *shape) outOfReach(t *testing.T, k kept) (giveBack func()) {
	t.Helper()
	if k.away == nil {
		return s.take(t, killed, s.the(t, k.service))
	}
	s.docker(t, s.inStore(t, k, k.away)...)
	return func() { s.docker(t, s.inStore(t, k, k.back)...) }
}

// imageOf is what a build made.
func (s *shape) imageOf(t *testing.T, id string) (image string) {
	t.Helper()
	await(t, "the image of "+id, func(ctx context.Context) error {
		b, err := s.records.build(ctx, id)
		if image = b.Image; err == nil && image == "" {
			err = fmt.Errorf("build %s is %s", id, b.State)
		}
		return err
	})
	return image
}

// storeHas waits until the store's own command names an image, and, where it keeps a list, those behind it.
func (s *shape) storeHas(t *testing.T, k kept, images ...string) {
	t.Helper()
	await(t, "the store to have "+images[0], func(ctx context.Context) error {
		out, err := site.Docker(ctx, s.inStore(t, k, k.get)...)
		if err != nil {
			return err
		}
		has, want := []string{strings.TrimSpace(out)}, images[:1]
		if json.Valid([]byte(out)) {
			var d struct{ Docker struct{ Images []string } }
			if err := json.Unmarshal([]byte(out), &d); err != nil {
				return err
			}
			has, want = d.Docker.Images, images
		}
		if len(has) < len(want) || !slices.Equal(has[:len(want)], want) {
			return fmt.Errorf("it has %s", out)
		}
		return nil
	})
}

// engines sees that there are nodes with each of these versions.
func (s *shape) engines(t *testing.T, versions ...string) {
	t.Helper()
	await(t, "nodes with engines "+strings.Join(versions, ", "), func(ctx context.Context) error {
		out, err := s.Run(ctx, "nodes", "-o", "json")
		for _, v := range versions {
			if err == nil && !strings.Contains(out, `"`+v) {
				err = fmt.Errorf("no node has an engine %s: %s", v, out)
			}
		}
		return err
	})
}

// says waits until status has the words.
func (s *shape) says(t *testing.T, words ...string) {
	t.Helper()
	await(t, fmt.Sprintf("status with %q", words), func(ctx context.Context) error {
		out, err := s.Run(ctx, "status")
		for _, w := range words {
			if err == nil && !strings.Contains(out, w) {
				err = fmt.Errorf("status says\n%s", out)
			}
		}
		return err
	})
}
