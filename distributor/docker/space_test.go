//go:build linux

package docker_test

import (
	"context"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// wholeBlobs notes the blobs that a registry was asked for from their beginning to their end.
type wholeBlobs struct{ asked sync.Map }

func (w *wholeBlobs) behind(next http.Handler) http.Handler {
	return http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") && r.Header.Get("Range") == "" {
			w.asked.Store(path.Base(r.URL.Path), true)
		}
		next.ServeHTTP(to, r)
	})
}

// A pull that would fill the disk is never begun: neither its bytes as they travel nor what they are
// unpacked fit beside what must stay free.
func TestAPullThatWouldFillTheDisk(t *testing.T) { eachKind(t, testAPullThatWouldFillTheDisk) }

func testAPullThatWouldFillTheDisk(t *testing.T, k kind) {
	var blobs wholeBlobs
	k.disk, k.loop, k.behind = "100", true, blobs.behind
	o := ownEngine(t, k)
	filler := filepath.Join(o.store(), "filler")
	if err := os.WriteFile(filler, make([]byte, 45<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	large := noise(t, 24)
	image := o.world.push(t, o.world.base, large)
	b := o.node(image, 1<<20)
	got := b.says(t, "the pull does not fit", state(messages.WorkFailed))
	for _, part := range []string{"no space left on the engine's disk: the pull needs 5", " MB to fetch, ", " MB unpacked), ", " are free where", "1.0 MB must stay free: remove images or files"} {
		if !strings.Contains(got.Work.Reason, part) {
			t.Errorf("the reason %q does not say %q", got.Work.Reason, part)
		}
	}
	digest, err := large.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if _, asked := blobs.asked.Load(digest.String()); asked {
		t.Error("the engine was let fetch the layer")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	got = b.says(t, "it has the image", state(messages.WorkDone))
	if room, err := o.client().Room(t.Context(), image, nil); err != nil || room.Needs != 0 || room.Unknown != nil {
		t.Errorf("of an image that is there a pull takes %+v, error %v", room, err)
	}
	next := o.world.push(t, o.world.base, large, noise(t, 2))
	if room, err := o.client().Room(t.Context(), next, nil); err != nil || room.Fetch < 2<<20 || room.Needs < 4<<20 || room.Needs > 5<<20 {
		t.Errorf("of one layer of 2 MiB more a pull takes %+v, error %v", room, err)
	}
	if len(got.Ledger) != 1 {
		b.says(t, "the ledger lists it", func(s *messages.NodeStatus) bool {
			return len(s.Ledger) == 1 && s.Ledger[0].Image == image && s.Ledger[0].Why == "rollout r1" && !s.Ledger[0].Found
		})
	}
}

// What the fleet no longer wants goes first where what it wants has no room beside it.
func TestOldImagesMakeRoom(t *testing.T) { eachKind(t, testOldImagesMakeRoom) }

func testOldImagesMakeRoom(t *testing.T, k kind) {
	k.disk, k.loop = "85", true
	if k.today { // which keeps what it fetched, too
		k.disk = "110"
	}
	o := ownEngine(t, k)
	first, second := o.world.push(t, o.world.base, noise(t, 24)), o.world.push(t, o.world.base, noise(t, 24))
	b := o.node(first, 1<<20)
	b.says(t, "it has the first", state(messages.WorkDone))
	b.set(func(r *messages.FleetRecord) {
		r.Preload = &messages.Preload{FleetImage: messages.FleetImage{Image: second, Rollout: "r2"}, Threshold: ^uint64(0)}
	})
	b.says(t, "it has the second", func(s *messages.NodeStatus) bool {
		return state(messages.WorkDone)(s) && s.Work.Rollout == "r2" && len(s.Images) == 1 && s.Images[0].Image == second
	})
	images, err := o.client().Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images {
		if i.Has(first) {
			t.Errorf("the first is there: %+v", i)
		}
	}
}

// A person who prunes all images takes what no container uses; it is fetched again, and the ledger goes on.
func TestAPersonPrunesAllImages(t *testing.T) { eachKind(t, testAPersonPrunesAllImages) }

func testAPersonPrunesAllImages(t *testing.T, k kind) {
	o := ownEngine(t, k)
	current, previous := o.world.push(t, o.world.base, noise(t, 1)), o.world.push(t, o.world.base, noise(t, 1))
	b := o.node(current, 1)
	b.set(func(r *messages.FleetRecord) {
		r.Preload, r.Current.Image, r.Previous.Image = nil, current, previous
	})
	both := func(s *messages.NodeStatus) bool { return len(s.Images) == 2 && len(s.Ledger) == 2 }
	b.says(t, "it has both", both)
	api, e := o.site().api(t), o.client()
	local := (&messages.FleetRecord{Fleet: o.world.fleet}).LocalName(current)
	if _, err := api.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "app", Image: local}); err != nil {
		t.Fatal(err)
	}
	pruned, err := api.ImagePrune(t.Context(), client.ImagePruneOptions{Filters: client.Filters{}.Add("dangling", "false")})
	if err != nil {
		t.Fatal(err)
	}
	if len(pruned.Report.ImagesDeleted) == 0 {
		t.Fatal("the prune took nothing")
	}
	o.until("it has both again", func(ctx context.Context) bool {
		for _, i := range []messages.Image{current, previous} {
			if got, err := e.Inspect(ctx, i); err != nil || !got.Has(i) {
				return false
			}
		}
		return true
	})
	b.says(t, "it has both again", both)
	// Nothing wants the current image any more, but the container.
	b.set(func(r *messages.FleetRecord) {
		r.Current, r.Previous = messages.FleetImage{Image: previous}, messages.FleetImage{}
	})
	b.says(t, "it has the other alone", func(s *messages.NodeStatus) bool { return len(s.Images) == 1 && s.Images[0].Image == previous })
	if got, err := e.Inspect(t.Context(), current); err != nil || !got.Has(current) {
		t.Errorf("what a container is made from is %+v, error %v", got, err)
	}
	if _, err := api.ContainerRemove(t.Context(), "app", client.ContainerRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	b.set(func(*messages.FleetRecord) {})
	if err := e.AddNote(t.Context(), distributor.Note{Kind: distributor.NoteAsk, Realm: "fenceline.local/wake"}); err != nil { // it looks at once
		t.Fatal(err)
	}
	b.says(t, "the ledger lists the other alone", func(s *messages.NodeStatus) bool { return len(s.Ledger) == 1 && s.Ledger[0].Image == previous })
	if got, err := e.Inspect(t.Context(), current); err == nil {
		t.Errorf("what nobody wants is %+v", got)
	}
}
