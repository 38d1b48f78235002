package distributor

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Engine is a node's container engine. Calls end with their context. Errors wrap the
// sentinels of this package where they fit, ErrEngine above all. Implementations are safe for use by
// several goroutines; enginetest has the suite that each must pass.
type Engine interface {
	// Info tells what the engine is. The Error field is left empty.
	Info(ctx context.Context) (messages.Engine, error)
	// Images lists every image that the engine knows of. It is no proof that their files are there.
	Images(ctx context.Context) ([]Image, error)
	// Inspect looks at one image, by name and digest, and at its files. ErrNotFound when it
	// is not there; another error when the engine knows of it and can't read it.
	Inspect(ctx context.Context, image messages.Image) (Image, error)
	// Pull fetches an image by digest. It calls progress, never twice at one time, whenever
	// something moves, and returns the bytes fetched, also with an error.
	// Layers that the engine has already count nothing.
	Pull(ctx context.Context, image messages.Image, progress func(Progress)) (int64, error)
	// Load is Pull where the agent fetches: the engine is fed with what it lacks of the content, and knows the
	// image afterwards as after a Pull.
	Load(ctx context.Context, image messages.Image, from Content, progress func(Progress)) (int64, error)
	// Sound tells whether the engine reads an image that was made just now: where it doesn't, no image is
	// to blame for what it can't do with it.
	Sound(ctx context.Context) error
	// Tag gives an image that is present one more name.
	Tag(ctx context.Context, image messages.Image, local string) error
	// Remove takes one name (a tag, or name@digest) off an image, and removes the image
	// with its last name. The engine refuses while a container needs it. It is no
	// error when the name is not there.
	Remove(ctx context.Context, name string) error
	// Containers lists the containers, running or not, without those of trials.
	Containers(ctx context.Context) ([]Container, error)
	// FreeBytes is the free space where the engine keeps images, or -1 if that can't
	// be known from here.
	FreeBytes(ctx context.Context) (int64, error)
	// Room tells what a pull of an image would take of the engine's disks, by the manifest of its registry, or of
	// the content where that is not nil. What keeps that from being known is no error.
	Room(ctx context.Context, image messages.Image, from Content) (Room, error)
	// Trial runs a trial and removes its containers again, whatever happens. A verdict
	// on the image is a result; an error means that there is none.
	Trial(ctx context.Context, t Trial) (messages.TrialResult, error)
	// RemoveTrials removes the containers that an owner's killed predecessor left, and those of
	// any owner whose time is long up, and returns how many there were.
	RemoveTrials(ctx context.Context, owner string) (int, error)
	// Notes lists the notes that agents keep with the engine, of whatever agent.
	Notes(ctx context.Context) ([]Note, error)
	// AddNote keeps a note, as long as the engine keeps its images. One of the same kind, realm and
	// text stays as it is.
	AddNote(ctx context.Context, n Note) error
	// RemoveNote removes the note of n's kind, realm and text. It is no error when it is not there.
	RemoveNote(ctx context.Context, n Note) error
	// Watch blocks while the engine can be watched, and calls changed once it is,
	// and then whenever images lost a name or were deleted, or a note was added or removed. It returns when the engine
	// goes away or ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// Contents opens what images are made of, for engines that are fed; package content serves it.
type Contents interface {
	// Open makes an image's parts readable: from the mirrors in their order, then from its registry.
	Open(image messages.Image, mirrors []messages.Mirror) (Content, error)
	// Troubles lists the mirrors that failed when they were asked last.
	Troubles() []messages.MirrorTrouble
}

// Content is what one image is made of. What is read is what its digest says, or ends with an error:
// ErrWrongBytes where it came from somebody who is not asked again. It is for one goroutine.
type Content interface {
	// Manifest reads a manifest or index.
	Manifest(ctx context.Context, digest string) ([]byte, error)
	// Blob opens a configuration or layer, of the size that its manifest gives.
	Blob(ctx context.Context, digest string, size int64) (io.ReadCloser, error)
	// From is where the last answer came from, for people.
	From() string
}

// Image is an image that an engine has.
type Image struct {
	ID      string   // the engine's own ID
	Digests []string // name@sha256:… by which it was pulled
	Tags    []string
	// LocalOnly tells that containers can be made of it by its tags alone, though it is what its Digests say.
	LocalOnly bool
}

// Has tells whether the engine knows the image by exactly this name and digest.
func (i Image) Has(image messages.Image) bool {
	want := messages.CanonicalName(string(image))
	return slices.ContainsFunc(i.Digests, func(d string) bool { return messages.CanonicalName(d) == want })
}

// keeps tells whether the engine knows the image by its digest, and by the local tag that
// keeps it from a prune.
func (i Image) keeps(image messages.Image, local string) bool {
	return i.Has(image) && slices.Contains(i.Tags, local)
}

// Container is a container on the node.
type Container struct {
	Name    string
	Image   string // as the container was started from
	ImageID string
	Running bool
}

// Trial is what a canary is asked to try.
type Trial struct {
	Owner    string // who runs it, so that only its own leftovers are removed
	Rollout  string
	Image    messages.Image
	HooksDir string        // absolute path inside the image
	Hooks    []string      // names of the hooks that the image has
	Network  string        // "" is none
	User     string        // that hooks run as; "" is messages.HookUser where the image has it, else the image's own
	Timeout  time.Duration // for all hooks together
}

// hookOrder is the order in which fence runs the admin hooks.
var hookOrder = []string{"pre-staging", "post-staging", "pre-running"}

// Ordered returns the trial's hooks in the order in which fence would run them.
func (t Trial) Ordered() []string {
	var out []string
	for _, h := range hookOrder {
		if slices.Contains(t.Hooks, h) {
			out = append(out, h)
		}
	}
	return out
}

// TrialEnv is the variable, with its value, by which a hook can tell a trial from the real thing.
const TrialEnv = "FENCELINE_TRIAL=1"
