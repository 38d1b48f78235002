package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// FakeImage is an image in a Fake's registry.
type FakeImage struct {
	Layers map[string]int64 // bytes by digest
	Shell  bool
	Hooks  map[string]FakeHook
}

// FakeHook is how a hook behaves.
type FakeHook struct {
	Output string
	Exit   int
	Hang   bool
}

// Fake is an engine in memory. The zero value has no images; the fields are set under Do
// once it is in use.
type Fake struct {
	mu sync.Mutex
	// Registry has what can be pulled; an image that it lacks is not found.
	Registry map[messages.Image]FakeImage
	// Gone are the images whose registry can't be reached.
	Gone map[messages.Image]bool
	// Unfit are the images that the engine can't take in.
	Unfit map[messages.Image]bool
	// Down makes every call fail: the engine is gone.
	Down bool
	// Broken are the images that are listed and can't be read, until they are removed.
	Broken map[messages.Image]error
	// Unsound, where set, is what Sound says.
	Unsound error
	// Stuck, where set, is how Containers fails.
	Stuck error
	// NoTags, where set, is how Tag fails; with ErrDamaged, until an image is removed.
	NoTags error
	// Tells has Room know what is in Registry, as if no layer were compressed and nothing unpacked.
	Tells bool
	// Free is what FreeBytes says. A pull of more runs out of space; -1 is enough for all.
	Free int64
	// Freed, where set, is what Free grows by with each image that is removed.
	Freed func(distributor.Image) int64
	// Left is the number of containers that earlier trials left, by owner.
	Left map[string]int
	// LeftErr is what removing them fails with, and Sweeps how often that was asked for.
	LeftErr error
	Sweeps  int
	// Used are the containers.
	Used []distributor.Container
	// Hold, where set, is waited for by each pull: what it delivers is a sign of life, and
	// when it is closed the pull goes on.
	Hold <-chan struct{}
	// Moves, where set, is like Hold: what it delivers is how far the pull is.
	Moves <-chan distributor.Progress
	// Pulled lists the pulls that were begun, in order.
	Pulled []messages.Image
	// Loaded lists the loads that were begun, in order.
	Loaded []messages.Image
	// Classic has what is loaded known by its tag until the registry was asked by Learn.
	Classic bool
	// Mute are the images whose registry does not tell digests.
	Mute map[messages.Image]bool
	// Silent, where set, is waited for by each Learn.
	Silent <-chan struct{}
	// Learned lists the tries to learn a digest, in order.
	Learned []messages.Image
	// Trials lists the trials that were begun.
	Trials []distributor.Trial
	// Removed lists the names that were removed.
	Removed []string

	// Kept are the notes.
	Kept []distributor.Note
	// NoNotes, where set, is how calls about notes fail.
	NoNotes error

	images  []distributor.Image
	watches map[chan struct{}]bool
}

var _ distributor.Engine = (*Fake)(nil)

// Do changes or reads the fields.
func (f *Fake) Do(change func(*Fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
	f.notify()
}

// Put makes an image present under more names than its digest.
func (f *Fake) Put(image messages.Image, tags ...string) {
	f.PutImage(distributor.Image{ID: "id-" + image.Digest(), Digests: []string{string(image)}, Tags: tags})
}

// PutImage makes an image present as i describes it.
func (f *Fake) PutImage(i distributor.Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images = append(f.images, i)
}

// Lose deletes an image, as a person might.
func (f *Fake) Lose(image messages.Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images = slices.DeleteFunc(f.images, func(i distributor.Image) bool { return i.Has(image) })
	f.notify()
}

func (f *Fake) notify() {
	for w := range f.watches {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// up locks the engine, or says that it is gone.
func (f *Fake) up(ctx context.Context) (func(), error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.mu.Lock()
	if f.Down {
		f.mu.Unlock()
		return nil, fmt.Errorf("fake engine: %w", distributor.ErrEngine)
	}
	return f.mu.Unlock, nil
}

func (f *Fake) find(image messages.Image) *distributor.Image {
	for i := range f.images {
		if f.images[i].Has(image) {
			return &f.images[i]
		}
	}
	return nil
}

// Info names the fake.
func (f *Fake) Info(ctx context.Context) (messages.Engine, error) {
	done, err := f.up(ctx)
	if err != nil {
		return messages.Engine{}, err
	}
	defer done()
	return messages.Engine{Name: "fake", Version: "1", API: "1"}, nil
}

// Containers lists Used.
func (f *Fake) Containers(ctx context.Context) ([]distributor.Container, error) {
	done, err := f.up(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return slices.Clone(f.Used), f.Stuck
}

// FreeBytes is Free.
func (f *Fake) FreeBytes(ctx context.Context) (int64, error) {
	done, err := f.up(ctx)
	if err != nil {
		return -1, err
	}
	defer done()
	return f.Free, nil
}

// Room is what Registry says, where it Tells, and the content has a manifest, where there is one.
func (f *Fake) Room(ctx context.Context, image messages.Image, from distributor.Content) (distributor.Room, error) {
	if from != nil {
		if _, err := from.Manifest(ctx, image.Digest()); err != nil {
			return distributor.Room{Needs: -1, Free: -1, Unknown: err}, nil
		}
	}
	done, err := f.up(ctx)
	if err != nil {
		return distributor.Room{}, err
	}
	defer done()
	if !f.Tells {
		return distributor.Room{Needs: -1, Free: f.Free}, nil
	}
	if _, known := f.Registry[image]; !known {
		return distributor.Room{Needs: -1, Free: f.Free, Unknown: distributor.ErrNotFound}, nil
	}
	r := distributor.Room{Free: f.Free, Fetch: f.lacks(image)}
	r.Needs = r.Fetch
	return r, nil
}

// Trial plays the image's hooks.
func (f *Fake) Trial(ctx context.Context, t distributor.Trial) (messages.TrialResult, error) {
	done, err := f.up(ctx)
	if err != nil {
		return messages.TrialResult{}, err
	}
	f.Trials = append(f.Trials, t)
	image := f.Registry[t.Image]
	done()
	timed, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	var r messages.TrialResult
	if len(t.Hooks) == 0 && !image.Shell {
		r.Reason = "starting a shell in the image: there is none"
		return r, nil
	}
	for _, name := range t.Ordered() {
		h, ok := image.Hooks[name]
		run := messages.HookRun{Hook: name, Exit: h.Exit, Output: h.Output}
		if !ok || h.Hang {
			run.Exit = -1
		}
		r.Hooks = append(r.Hooks, run)
		if h.Hang {
			<-timed.Done()
			if ctx.Err() != nil {
				return r, context.Cause(ctx)
			}
			r.Reason = fmt.Sprintf("hook %s did not end in %s", name, t.Timeout)
			return r, nil
		}
		if run.Exit != 0 {
			r.Reason = fmt.Sprintf("hook %s ended with status %d", name, run.Exit)
			return r, nil
		}
	}
	r.Passed = true
	return r, nil
}

// RemoveTrials takes Left.
func (f *Fake) RemoveTrials(ctx context.Context, owner string) (int, error) {
	done, err := f.up(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	f.Sweeps++
	if f.LeftErr != nil {
		return 0, f.LeftErr
	}
	n := f.Left[owner]
	delete(f.Left, owner)
	return n, nil
}

// Notes lists Kept.
func (f *Fake) Notes(ctx context.Context) ([]distributor.Note, error) {
	done, err := f.up(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return slices.Clone(f.Kept), f.NoNotes
}

// AddNote adds to Kept.
func (f *Fake) AddNote(ctx context.Context, n distributor.Note) error {
	done, err := f.up(ctx)
	if err != nil {
		return err
	}
	defer done()
	if f.NoNotes == nil && !slices.ContainsFunc(f.Kept, same(n)) {
		f.Kept = append(f.Kept, n)
		f.notify()
	}
	return f.NoNotes
}

// RemoveNote takes from Kept.
func (f *Fake) RemoveNote(ctx context.Context, n distributor.Note) error {
	done, err := f.up(ctx)
	if err != nil {
		return err
	}
	defer done()
	f.Kept = slices.DeleteFunc(f.Kept, same(n))
	return nil
}

// same finds a note that says what n says.
func same(n distributor.Note) func(distributor.Note) bool {
	return func(o distributor.Note) bool { return o.Kind == n.Kind && o.Realm == n.Realm && o.Text == n.Text }
}

// Watch tells of each change until the engine goes Down.
func (f *Fake) Watch(ctx context.Context, changed func()) error {
	done, err := f.up(ctx)
	if err != nil {
		return err
	}
	w := make(chan struct{}, 1)
	if f.watches == nil {
		f.watches = map[chan struct{}]bool{}
	}
	f.watches[w] = true
	done()
	defer f.Do(func(f *Fake) { delete(f.watches, w) })
	changed()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w:
		}
		if _, err := f.Info(ctx); errors.Is(err, distributor.ErrEngine) {
			return err
		}
		changed()
	}
}

// Lines joins lines as a hook prints them.
func Lines(from, to int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintf(&b, "line %d\n", n)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
