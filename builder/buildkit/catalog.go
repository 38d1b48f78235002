package buildkit

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/config/types"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/util/contentutil"
	"github.com/moby/buildkit/util/imageutil"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Catalog asks registries what images are, as builds do, without a buildkitd.
type Catalog struct {
	registry *registry
}

// NewCatalog makes one of what a Config says of registries. What is wrong with a file or a registry's name is a
// *FieldError.
func NewCatalog(c Config) (*Catalog, error) {
	trusted, err := newTrust(c)
	if err != nil {
		return nil, err
	}
	l := registries.Logins{Folder: c.DockerConfig}
	if err := l.Check(); err != nil {
		return nil, &FieldError{"DockerConfig", err}
	}
	return &Catalog{registry: newRegistry(l, trusted)}, nil
}

// Base is an image source of a Dockerfile, and what it resolves to.
type Base struct {
	Source string         // as messages.PinnedBase has it
	Image  messages.Image // "" where Err says why that is not known
	Err    error
}

// Bases lists the image sources that a build of a Dockerfile would reach, as the builder's frontend finds them, each with what
// it resolves to now, sorted. A source that can't be resolved keeps the others from nothing, but those of its ONBUILD lines.
// An error is about the Dockerfile.
func (c *Catalog) Bases(ctx context.Context, p *messages.Pipeline, dockerfile []byte) ([]Base, error) {
	platform := platforms.DefaultSpec()
	if p.Platform != "" {
		var err error
		if platform, err = platforms.Parse(p.Platform); err != nil {
			return nil, fmt.Errorf("platform: %w", err)
		}
	}
	platform.OS = "linux"
	found := &baseFinder{catalog: c, platform: &platform, bases: map[string]Base{}}
	_, err := dockerfile2llb.Dockerfile2LLB(ctx, dockerfile, dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{BuildArgs: p.BuildArgs}, TargetPlatform: &platform, MetaResolver: found,
	})
	out := make([]Base, 0, len(found.bases))
	for _, b := range found.bases {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Base) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(string(a.Image), string(b.Image)))
	})
	if err != nil {
		return out, fmt.Errorf("reading the Dockerfile: %w", err)
	}
	return out, nil
}

// Resolve asks a registry what an image source names now.
func (c *Catalog) Resolve(ctx context.Context, source string) Base {
	b, _ := c.look(ctx, source, nil)
	return b
}

// look asks for an image, and for its configuration on a platform.
func (c *Catalog) look(ctx context.Context, named string, platform *ocispecs.Platform) (Base, []byte) {
	source, pinned, _ := strings.Cut(named, "@")
	b := Base{Source: source}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ref, err := c.registry.trust.reference(named)
	if err != nil {
		b.Err = err
		return b, nil
	}
	var at digest.Digest
	var config []byte
	err = c.registry.speak(ctx, ref, func(ctx context.Context, client *registryClient) (err error) {
		if platform == nil {
			var d ocispecs.Descriptor
			_, d, err = client.resolver().Resolve(ctx, fullName(ref))
			at = d.Digest
			return err
		}
		at, config, err = imageutil.Config(ctx, fullName(ref), client.resolver(), contentutil.NewBuffer(), nil, platform)
		return err
	})
	if err == nil || pinned != "" { // what is pinned is known without being asked for
		b.Image, b.Err = messages.NewImage(withoutTag(source), cmp.Or(pinned, at.String()))
	}
	if err != nil {
		b.Err = fmt.Errorf("asking %s for %s: %w", ref.Context().RegistryStr(), named, ofField(err))
	}
	return b, config
}

// ofField is the error of a registry as one of the field of a Config that mends it, where one does.
func ofField(err error) error {
	switch {
	case heard(err) == denied:
		return &FieldError{"DockerConfig", fmt.Errorf("%w: give a login that may read it", err)}
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return &FieldError{"RegistryCAFile", err}
	case errors.Is(err, http.ErrSchemeMismatch):
		return &FieldError{"PlainHTTP", err}
	}
	return err
}

// Login is a registry's login, for who fetches by another library.
func (c *Catalog) Login(host string) (authn.Authenticator, error) {
	found, err := c.registry.logins.Of(context.Background(), host)
	if err != nil || found == (types.AuthConfig{}) {
		return authn.Anonymous, err
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: found.Username, Password: found.Password, Auth: found.Auth, IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}), nil
}

// RoundTrip does a request of a registry with what the Config says of registries' certificates, and of those without TLS.
func (c *Catalog) RoundTrip(r *http.Request) (*http.Response, error) {
	if slices.Contains(c.registry.trust.plain, r.URL.Host) && r.URL.Scheme == "https" {
		r = r.Clone(r.Context())
		r.URL.Scheme = "http"
	}
	return c.registry.trust.transport.RoundTrip(r)
}

var _ http.RoundTripper = (*Catalog)(nil)

// baseFinder is told by the frontend which images a build reaches.
type baseFinder struct {
	catalog  *Catalog
	platform *ocispecs.Platform

	mu    sync.Mutex
	bases map[string]Base // by name, with its digest where it has one
}

// ResolveImageConfig resolves an image, and notes it. One that can't be resolved is taken for an empty one, so that the
// others are found.
func (f *baseFinder) ResolveImageConfig(ctx context.Context, named string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := f.platform
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = opt.ImageOpt.Platform
	}
	b, config := f.catalog.look(ctx, named, platform)
	if ctx.Err() != nil {
		return "", "", nil, context.Cause(ctx)
	}
	f.mu.Lock()
	f.bases[named] = b
	f.mu.Unlock()
	if config == nil {
		config = []byte(`{"os":"linux"}`)
	}
	return named, digest.Digest(b.Image.Digest()), config, nil
}
