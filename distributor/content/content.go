package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// maxManifest bounds a manifest, as registries do.
const maxManifest = 4 << 20

// Config says how content is reached.
type Config struct {
	// Login is the login for a registry's or mirror's HOST[:PORT]; nil is none for any.
	Login func(host string) (authn.Authenticator, error)
	// Transport is what requests go over; nil is as everywhere, with the machine's proxy and authorities.
	Transport http.RoundTripper
}

// Opener opens images, and remembers which mirrors failed. Make it with New.
type Opener struct {
	cfg    Config
	health health
}

var _ distributor.Contents = (*Opener)(nil)

// New makes an opener.
func New(c Config) *Opener {
	if c.Login == nil {
		c.Login = func(string) (authn.Authenticator, error) { return authn.Anonymous, nil }
	}
	if c.Transport == nil {
		c.Transport = remote.DefaultTransport
	}
	return &Opener{cfg: c, health: health{of: map[string]*trouble{}}}
}

// Troubles lists the mirrors that failed last, and why.
func (o *Opener) Troubles() []messages.MirrorTrouble { return o.health.list() }

// content is one image's.
type content struct {
	image  messages.Image
	places []*place // mirrors, then the registry
	from   *place   // that answered last
}

// Open makes an image's parts readable. Nothing is asked yet.
func (o *Opener) Open(image messages.Image, mirrors []messages.Mirror) (distributor.Content, error) {
	ref, err := name.NewDigest(string(image))
	if err != nil {
		return nil, fmt.Errorf("finding the registry of %s: %w", image, err)
	}
	c := &content{image: image}
	for i := range mirrors {
		p, err := o.mirror(&mirrors[i], ref.Context())
		if err != nil {
			return nil, err
		}
		c.places = append(c.places, p)
	}
	p, err := o.registry(ref.Context())
	if err != nil {
		return nil, err
	}
	c.places = append(c.places, p)
	return c, nil
}

// From is where the last answer came from.
func (c *content) From() string {
	if c.from == nil {
		return ""
	}
	return c.from.name
}

// Manifest reads a manifest.
func (c *content) Manifest(ctx context.Context, digest string) ([]byte, error) {
	b, err := c.open(ctx, "manifests", digest, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	return io.ReadAll(b)
}

// Blob opens a configuration or layer. The size is the manifest's.
func (c *content) Blob(ctx context.Context, digest string, size int64) (io.ReadCloser, error) {
	if size < 0 {
		return nil, fmt.Errorf("reading %s of %s: %w: its manifest gives it %d bytes", digest, c.image, distributor.ErrImage, size)
	}
	return c.open(ctx, "blobs", digest, size)
}

// End reads the last bytes of a blob from the image's registry.
func (c *content) End(ctx context.Context, digest string, size int64, n int) ([]byte, error) {
	if len(c.places) > 1 {
		return nil, fmt.Errorf("reading the end of %s: %w of an image that has mirrors", digest, errors.ErrUnsupported)
	}
	if err := messages.CheckDigest(digest); err != nil {
		return nil, fmt.Errorf("reading a part of %s: %w: %w", c.image, distributor.ErrImage, err)
	}
	body, err := c.places[0].ask(ctx, "blobs", digest, max(size-int64(n), 0), size)
	if err != nil {
		return nil, fmt.Errorf("reading the end of %s: %w", digest, err)
	}
	defer func() { _ = body.Close() }()
	if body.skip > 0 {
		return nil, fmt.Errorf("reading the end of %s: %w by the registry, which serves no part of a blob", digest, errors.ErrUnsupported)
	}
	end := make([]byte, n)
	if _, err := io.ReadFull(body, end); err != nil {
		return nil, fmt.Errorf("reading the end of %s: %w", digest, err)
	}
	return end, nil
}

// kindOf is the sentinel that the failure of every place amounts to: the registry's, as it comes last.
func kindOf(err error) error {
	for _, kind := range []error{distributor.ErrNotFound, distributor.ErrUnauthorized} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return distributor.ErrRegistry
}
