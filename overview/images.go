package overview

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/suggest"
)

// Images are the images that the records know.
type Images struct {
	Made   []*messages.ImageReady // by builds, the newest first
	Fleets map[string]messages.FleetRecord
}

// ReadImages reads which images the records know.
func ReadImages(ctx context.Context, q *queue.Client) (*Images, error) {
	out := &Images{Fleets: map[string]messages.FleetRecord{}}
	known := map[string]bool{}
	// One by one: all records together would take many times the room of the images.
	err := store.Builds(q).Since(ctx, 0, func(e queue.Entry[messages.BuildRecord]) bool {
		if m := MadeBy(&e.Value); m != nil && !known[m.Build] {
			out.Made, known[m.Build] = append(out.Made, m), true
		}
		return true
	}, func(queue.Broken) bool { return true })
	if err != nil {
		return nil, err
	}
	rollouts, err := store.Rollouts(q).List(ctx)
	if err != nil {
		return nil, err
	}
	for i := range rollouts { // a build's record may be gone
		if m := &rollouts[i].Value.Ready; m.Image != "" && !known[m.Build] {
			out.Made, known[m.Build] = append(out.Made, m), true
		}
	}
	slices.SortStableFunc(out.Made, func(a, b *messages.ImageReady) int { return cmp.Compare(b.Order, a.Order) })
	fleets, err := store.Fleets(q).List(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range fleets {
		out.Fleets[f.Key] = f.Value
	}
	return out, nil
}

// MadeBy is the image that a build made, as its record announces it, or nil.
func MadeBy(r *messages.BuildRecord) *messages.ImageReady {
	if r.Outcome == nil {
		return nil
	}
	_, ready, err := messages.DecodeAs[*messages.ImageReady](*r.Outcome)
	if err != nil {
		return nil
	}
	ready.Ref = cmp.Or(ready.Ref, r.Ref)
	return ready
}

// ImageBefore is, among those that builds made, the image before another one: the last of an earlier build of the same pipeline
// and branch or tag. It is nil where none is known.
func ImageBefore(made []*messages.ImageReady, of *messages.ImageReady) *messages.ImageReady {
	var last *messages.ImageReady
	for _, m := range made {
		if m.Pipeline == of.Pipeline && m.Ref == of.Ref && m.Order < of.Order && (last == nil || m.Order > last.Order) {
			last = m
		}
	}
	return last
}

// KnownImage is an image of the records.
type KnownImage struct {
	Image    messages.Image
	HooksDir string // where it has its hooks; "" where that is not known
	Is       string // what it is, for people
	before   *KnownImage
}

// PreviousMark after a fleet's name means the image that the fleet had before its current one.
const PreviousMark = "~1"

// Find is the image that a word means: a fleet's name its current one, with PreviousMark its previous one; a build's ID the one
// that it made; a digest that one. Of an ID or a digest the beginning is enough where it is the only one.
func (i *Images) Find(word string) (KnownImage, error) {
	name, previous := strings.CutSuffix(word, PreviousMark)
	if f, known := i.Fleets[name]; known {
		return i.ofFleet(&f, previous)
	}
	if previous {
		return KnownImage{}, fmt.Errorf("there is no fleet %q%s", messages.Shorten(name, 100), suggest.DidYouMean(name, i.fleetNames()))
	}
	for _, m := range i.Made {
		if m.Build == word {
			return i.ofBuild(m), nil
		}
	}
	if image, err := messages.ParseImage(word); err == nil {
		word = image.Digest()
	}
	return i.begun(word)
}

// leastBegun is how much of a build's ID, and of a digest, is taken for one.
const leastBegun = 4

// begun finds the one image whose digest or build begins as a word does.
func (i *Images) begun(word string) (KnownImage, error) {
	found := map[string]KnownImage{}
	hex, isDigest := strings.CutPrefix(strings.ToLower(word), "sha256:")
	if len(hex) >= leastBegun {
		meant := func(image messages.Image) bool {
			_, seen := found[image.Digest()]
			return !seen && strings.HasPrefix(image.Digest(), "sha256:"+hex)
		}
		for _, m := range i.Made {
			if strings.HasPrefix(m.Build, word) && !isDigest {
				found[m.Build] = i.ofBuild(m)
			}
			if meant(m.Image) {
				found[m.Image.Digest()] = i.ofBuild(m)
			}
		}
		for _, name := range i.fleetNames() {
			f := i.Fleets[name]
			for _, of := range append([]messages.FleetImage{f.Current, f.Previous}, f.Keep...) {
				if meant(of.Image) {
					found[of.Image.Digest()] = KnownImage{Image: of.Image, HooksDir: of.HooksDir, Is: "an image of fleet " + name}
				}
			}
		}
	}
	var all []string
	var one KnownImage
	for what, k := range found {
		all, one = append(all, what), k
	}
	switch slices.Sort(all); len(all) {
	case 1:
		return one, nil
	case 0:
		return one, fmt.Errorf("the records know no image %q: give a fleet's name, FLEET%s, a build's ID or a digest%s",
			messages.Shorten(word, 200), PreviousMark, suggest.DidYouMean(word, append(i.fleetNames(), i.buildNames()...)))
	}
	const most = 10
	if n := len(all) - most; n > 0 {
		all = append(all[:most], fmt.Sprintf("%d more", n))
	}
	return one, fmt.Errorf("%q can be any of %s: give more of it", messages.Shorten(word, 200), strings.Join(all, ", "))
}

// Before is the image before one that was found: that which the fleet had before, or of the build before.
func (i *Images) Before(k KnownImage) (KnownImage, error) {
	if k.before == nil {
		return KnownImage{}, fmt.Errorf("no image before %s is known (%s): name the one to compare with", k.Image, k.Is)
	}
	return *k.before, nil
}

func (i *Images) ofFleet(f *messages.FleetRecord, previous bool) (KnownImage, error) {
	now := KnownImage{Image: f.Current.Image, HooksDir: f.Current.HooksDir, Is: "current in fleet " + f.Fleet}
	before := &KnownImage{Image: f.Previous.Image, HooksDir: f.Previous.HooksDir, Is: "previous in fleet " + f.Fleet}
	switch {
	case previous && f.Previous.IsZero():
		return now, fmt.Errorf("fleet %s has had no image before its current one", f.Fleet)
	case previous:
		return *before, nil
	case f.Current.IsZero():
		return now, fmt.Errorf("fleet %s has no image yet", f.Fleet)
	case !f.Previous.IsZero():
		now.before = before
	}
	return now, nil
}

func (i *Images) ofBuild(m *messages.ImageReady) KnownImage {
	k := KnownImage{Image: m.Image, HooksDir: m.HooksDir, Is: "of build " + m.Build}
	if b := ImageBefore(i.Made, m); b != nil {
		k.before = &KnownImage{Image: b.Image, HooksDir: b.HooksDir, Is: "of build " + b.Build}
	}
	return k
}

func (i *Images) fleetNames() (out []string) {
	for name := range i.Fleets {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (i *Images) buildNames() (out []string) {
	for _, m := range i.Made {
		out = append(out, m.Build)
	}
	return out
}
