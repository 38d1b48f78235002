package imagediff

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/registries"
	"golang.org/x/sync/errgroup"
)

// Registries says how registries are spoken to.
type Registries = registries.Config

// Config says how registries are spoken to, and what is compared.
type Config struct {
	Registries Registries
	Hooks      []string // names of admin hooks
	Limits     Limits
}

// Limits bound what is read of two images. Zero values mean the defaults.
type Limits struct {
	Bytes   int64 // of an image's layers, uncompressed; DefaultBytes
	Entries int   // of an image's layers: files, folders and links; DefaultEntries
	File    int64 // of a file that is looked into, in bytes; DefaultFile
	Kept    int64 // of all of them together; DefaultKept
}

// The default limits.
const (
	DefaultBytes   = 64 << 30
	DefaultEntries = 10_000_000
	DefaultFile    = 64 << 20
	DefaultKept    = 192 << 20
)

// Client compares images. It is safe for concurrent use.
type Client struct {
	config  Config
	speaker *registries.Speaker
	idle    time.Duration // how long a registry may send nothing in the middle of a layer

	mu    sync.Mutex
	hosts map[string]*host // by registry; none after an error, so that a changed login counts
}

// Wanted is an image that is to be compared, and what of it.
type Wanted struct {
	Ref      string // NAME@sha256:… or NAME:TAG
	HooksDir string // absolute path inside the image; "" for messages.DefaultHooksDir
}

// Compare tells how one image differs from another. Platform, OS/ARCH, says which image of an index is meant: "" takes linux on
// the architecture of this machine where the index has that, else its first. An error is about reaching the images; what can't
// be told of their content is in Diff.Unknown.
func (c *Client) Compare(ctx context.Context, from, to Wanted, platform string) (*Diff, error) {
	var a, b *image
	g, both := errgroup.WithContext(ctx)
	open := func(into **image, w Wanted) func() error {
		return func() (err error) {
			*into, err = c.open(both, w, platform)
			return err
		}
	}
	g.Go(open(&a, from))
	g.Go(open(&b, to))
	if err := g.Wait(); err != nil {
		return nil, err
	}
	d := &Diff{From: a.told(), To: b.told(), Differs: a.manifest != b.manifest}
	if a.platform != b.platform {
		d.Settings = append(d.Settings, Setting{Name: "platform", From: &a.platform, To: &b.platform})
	}
	d.Settings = append(d.Settings, settings(&a.config.Config, &b.config.Config)...)
	d.Layers = layers(a, b)
	if !d.Differs {
		return d, nil
	}
	if err := c.compareFiles(ctx, d, a, b); err != nil {
		return nil, err
	}
	return d, nil
}

// compareFiles compares what stands in the images' files.
func (c *Client) compareFiles(ctx context.Context, d *Diff, a, b *image) error {
	f := &files{client: c, a: &side{image: a, word: "the first image"}, b: &side{image: b, word: "the second image"}, want: newWanted(a.hooksDir, b.hooksDir, c.config.Hooks)}
	if err := f.read(ctx); err != nil {
		return err
	}
	for _, s := range []*side{f.a, f.b} {
		if s.stopped != nil {
			d.Unknown = append(d.Unknown, fmt.Sprintf("packages and hooks: %s: %v", s.word, s.stopped))
		}
	}
	if len(d.Unknown) > 0 {
		d.PackagesUnknown, d.HooksUnknown = true, true
		return nil
	}
	packages, hooks := f.comparePackages(d), f.compareHooks(d)
	d.PackagesUnknown, d.HooksUnknown = len(packages) > 0, len(hooks) > 0
	d.Unknown = append(packages, hooks...)
	return nil
}

func (l Limits) orDefault() Limits {
	set := func(n *int64, otherwise int64) {
		if *n <= 0 {
			*n = otherwise
		}
	}
	set(&l.Bytes, DefaultBytes)
	set(&l.File, DefaultFile)
	set(&l.Kept, DefaultKept)
	if l.Entries <= 0 {
		l.Entries = DefaultEntries
	}
	return l
}

// hooksDirOf is where an image has its hooks.
func hooksDirOf(w Wanted) string {
	if w.HooksDir == "" {
		return messages.DefaultHooksDir
	}
	return w.HooksDir
}
