package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence/confdis/redistest"
	"github.com/fenceline/fenceline/fence/kato/katotest"
)

// alsek is the image that a store names before fenceline comes.
const alsek = "stackato/stack-alsek"

// fenceStore is a place where a fence config lives, as those who know nothing of fenceline meet it.
type fenceStore struct {
	flags []string
	reads func(t *testing.T) []string // the images, the one in use first
	sets  func(t *testing.T, image string)
	away  func(t *testing.T) (back func())
	lost  string // what status says meanwhile
	list  bool   // whether it keeps fallbacks
}

// TestFenceStores goes through a fleet's life on each store that fenceline doesn't own: pushes, a rollback,
// a change by hand, an outage.
func TestFenceStores(t *testing.T) {
	for name, open := range map[string]func(*testing.T) fenceStore{
		"confdis": redisStore, "confdis with a list": redisListStore, "kato": katoStore, "exec": execStore,
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			fleet := fleetOf("store")
			s := own(t, []pipeline{{name: "stored", fleet: fleet}}, append([]string{"--fleet", fleet, "--node", fleet}, store.flags...)...)
			first := s.stored(t, store, alsek)
			second := s.stored(t, store, first.Image)
			if store.list && !slices.Equal(store.reads(t), []string{second.Image, first.Image, alsek}) {
				t.Errorf("after two flips the list is %v", store.reads(t))
			}

			s.must(t, "rollback")
			s.reads(t, store, first.Image)
			s.holds(t, true)
			s.must(t, "release")
			s.holds(t, false)

			store.sets(t, "exampleco/newimg:by-hand")
			s.holds(t, true)
			s.awaitStatus(t, "", "exampleco/newimg:by-hand", "by somebody else")
			if got := store.reads(t)[0]; got != "exampleco/newimg:by-hand" {
				t.Errorf("what somebody set was changed to %s", got)
			}
			s.must(t, "release")
			s.reads(t, store, first.Image)
			s.holds(t, false)

			back := store.away(t)
			third := s.ended(t, s.build(t, "stored", exporting("away")))
			s.awaitStatus(t, "", store.lost)
			back()
			s.reads(t, store, third.Image)
			s.awaitStatus(t, "", third.Image[strings.Index(third.Image, "@"):][:12])
		})
	}
}

// stored flips by a push, from what the store has before.
func (s *stack) stored(t *testing.T, store fenceStore, before string) build {
	t.Helper()
	if got := store.reads(t)[0]; got != before {
		t.Fatalf("before the push the store has %s, not %s", got, before)
	}
	b := s.ended(t, s.build(t, "stored", exporting(fmt.Sprintf("store-%d", len(before)))))
	if b.State != "succeeded" {
		t.Fatalf("build %s ended as %s: %+v", b.Build, b.State, b.Failure)
	}
	s.reads(t, store, b.Image)
	return b
}

// reads waits until the store's own clients read an image.
func (s *stack) reads(t *testing.T, store fenceStore, image string) {
	t.Helper()
	await(t, "the store to have "+image, func(context.Context) error {
		if got := store.reads(t)[0]; got != image {
			return fmt.Errorf("it has %s", got)
		}
		return nil
	})
}

func redisStore(t *testing.T) fenceStore {
	return inRedis(t, func(image string) string {
		return `{"docker":{"image":"` + image + `","port":4243},"max":12345678901234567890}`
	}, false)
}

func redisListStore(t *testing.T) fenceStore {
	return inRedis(t, func(image string) string { return `{"docker":{"images":["` + image + `"]}}` }, true)
}

func inRedis(t *testing.T, document func(image string) string, list bool) fenceStore {
	server := redistest.Start(t)
	server.Put(t, "fence", document(alsek))
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return fenceStore{
		flags: []string{"--fence", "confdis", "--redis-uri", server.URI()},
		reads: func(t *testing.T) []string {
			var d struct {
				Docker struct {
					Image  string
					Images []string
				}
			}
			must(json.Unmarshal([]byte(server.Do(t, "get", "fence")), &d))
			return append(d.Docker.Images, d.Docker.Image)[:max(1, len(d.Docker.Images))]
		},
		sets: func(t *testing.T, image string) {
			server.Put(t, "fence", document(image))
			server.Do(t, "publish", "fence:_changes", "true")
		},
		away: func(*testing.T) func() {
			must(server.Kill())
			return func() { must(server.Start()) }
		},
		lost: "can't be reached", list: list,
	}
}

func katoStore(t *testing.T) fenceStore {
	c := katotest.New(t, `{"docker": {"images": ["`+alsek+`"]}}`)
	gone := c.Program + ".gone"
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	return fenceStore{
		flags: []string{"--fence", "kato", "--kato", c.Program},
		reads: func(t *testing.T) (images []string) {
			if err := json.Unmarshal([]byte(c.Run("config", "get", "-j", "fence", "docker/images")), &images); err != nil {
				t.Fatal(err)
			}
			return images
		},
		sets: func(_ *testing.T, image string) {
			c.Run("config", "set", "-j", "fence", "docker/images", `["`+image+`"]`)
		},
		away: func(*testing.T) func() {
			move(c.Program, gone)
			return func() { move(gone, c.Program) }
		},
		lost: "kato", list: true,
	}
}

// The commands of a store that is a file.
const (
	fileGet = `#!/bin/sh
exec cat "${0%/*}/image"
`
	fileSet = `#!/bin/sh
cd "${0%/*}" || exit 1
exec 9>lock && flock 9
[ "$(cat image)" = "$2" ] || exit 75
printf %s "$1" >image.new && mv image.new image
`
)

func execStore(t *testing.T) fenceStore {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		made := at(name + ".made") // who reads in between must find no half of it
		if err := os.WriteFile(made, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(made, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	write("get", fileGet)
	write("set", fileSet)
	write("image", alsek)
	return fenceStore{
		flags: []string{"--fence", "exec", "--fence-get", at("get"), "--fence-set", at("set")},
		reads: func(t *testing.T) []string {
			b, err := os.ReadFile(at("image"))
			if err != nil {
				t.Fatal(err)
			}
			return []string{string(b)}
		},
		sets: func(_ *testing.T, image string) { write("image", image) },
		away: func(*testing.T) func() {
			write("get", "#!/bin/sh\necho the store is away >&2\nexit 1\n")
			return func() { write("get", fileGet) }
		},
		lost: "the store is away",
	}
}
