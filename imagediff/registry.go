package imagediff

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// host is a registry that is spoken to by containerd's client, as builders do, so that what was pushed can be read.
type host struct{ hosts docker.RegistryHosts }

// hubName is Docker Hub in images' names.
const hubName = "docker.io"

// New makes a client. It reads the authorities, and looks whether logins can be had, which are read as they are needed. Its errors are
// *registries.FieldError.
func New(config Config) (*Client, error) {
	speaker, err := registries.NewSpeaker(config.Registries)
	if err == nil {
		if err = (registries.Logins{Folder: config.Registries.DockerConfig}).Check(); err != nil {
			err = &registries.FieldError{Field: "DockerConfig", Err: err}
		}
	}
	if err != nil {
		return nil, err
	}
	config.Limits = config.Limits.orDefault()
	return &Client{config: config, speaker: speaker, idle: mostIdle, hosts: map[string]*host{}}, nil
}

// source is where the parts of one image are read.
type source struct {
	client  *Client
	named   string // as people wrote it
	fetcher remotes.Fetcher
	host    string
}

// find asks a registry for what a reference names.
func (c *Client) find(ctx context.Context, ref string) (*source, name.Reference, ocispecs.Descriptor, error) {
	parsed, err := name.ParseReference(ref)
	if err == nil && c.speaker.PlainHTTP(parsed.Context().RegistryStr()) {
		parsed, err = name.ParseReference(ref, name.Insecure)
	}
	if err != nil {
		return nil, nil, ocispecs.Descriptor{}, fmt.Errorf("%q is no image: give NAME@sha256:… or NAME:TAG: %w", ref, err)
	}
	registry := parsed.Context().RegistryStr()
	full := registry + "/" + parsed.Context().RepositoryStr()
	if registry == name.DefaultRegistry {
		full = hubName + "/" + parsed.Context().RepositoryStr()
	}
	if _, pinned := parsed.(name.Digest); pinned {
		full += "@" + parsed.Identifier()
	} else {
		full += ":" + parsed.Identifier()
	}
	s := &source{client: c, named: ref, host: registry}
	ctx, cancel := context.WithTimeoutCause(registries.Quietly(ctx), askTimeout, errSlow)
	defer cancel()
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: c.host(parsed).hosts})
	_, d, err := resolver.Resolve(ctx, full)
	if err == nil {
		s.fetcher, err = resolver.Fetcher(ctx, full)
	}
	if err != nil {
		return nil, nil, ocispecs.Descriptor{}, s.failed(ctx, "", err)
	}
	return s, parsed, d, nil
}

// host is the registry of a reference, whose tokens are kept.
func (c *Client) host(ref name.Reference) *host {
	registry, server := ref.Context().RegistryStr(), ref.Context().RegistryStr()
	if server == name.DefaultRegistry {
		server = registries.HubHost
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[registry]; h != nil {
		return h
	}
	h := &host{c.speaker.Hosts(server, ref.Context().Scheme() == "http")}
	c.hosts[registry] = h
	return h
}

const (
	// askTimeout bounds a question: what a name stands for, a manifest, a configuration.
	askTimeout = 30 * time.Second
	// maxManifest bounds manifests and configurations, in bytes. Registries take no manifest that is larger.
	maxManifest = 4 << 20
)

var errSlow = fmt.Errorf("the registry took longer than %v to answer", askTimeout)

// small reads a manifest or a configuration, held to its digest.
func (s *source) small(ctx context.Context, what string, d ocispecs.Descriptor) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(registries.Quietly(ctx), askTimeout, errSlow)
	defer cancel()
	d.URLs = nil // whoever made the image says where to read it from there
	body, err := s.fetcher.Fetch(ctx, d)
	if err != nil {
		return nil, s.failed(ctx, what, err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	switch {
	case err != nil:
	case len(b) > maxManifest:
		err = fmt.Errorf("it has more than %d MiB", maxManifest>>20)
	case digest.FromBytes(b) != d.Digest:
		err = errOther
	}
	if err != nil {
		return nil, s.failed(ctx, what, err)
	}
	return b, nil
}

// errOther tells that a registry gave something else than what it was asked for.
var errOther = errors.New("what came is not what the digest names: the registry, or what stands before it, is not to be trusted with it")

// failed says what could not be read, and what mends it where that is known. The client for the registry is made anew next time.
func (s *source) failed(ctx context.Context, what string, err error) error {
	s.client.mu.Lock()
	delete(s.client.hosts, s.host)
	s.client.mu.Unlock()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if what != "" {
		what = ", " + what
	}
	return fmt.Errorf("reading image %s%s: %w", s.named, what, mended(err, s.host))
}

// mended says of an error of a registry what is wrong, and which setting mends it.
func mended(err error, registry string) error {
	var status remoteerrors.ErrUnexpectedStatus
	code := 0
	if errors.As(err, &status) {
		code = status.StatusCode
	}
	switch {
	case errdefs.IsNotFound(err) || code == http.StatusNotFound:
		return fmt.Errorf("registry %s has no such image: it may have been deleted there", registry)
	case errors.Is(err, docker.ErrInvalidAuthorization) || code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("registry %s wants another login: give one that may pull from it (docker-config)", registry)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("%w: give the authority of registry %s (registry-ca-file)", err, registry)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("registry %s has no TLS: allow that by its name (registry-plain-http)", registry)
	case code != 0:
		return fmt.Errorf("registry %s answered %d %s", registry, code, http.StatusText(code)) // not in its own words
	}
	return registries.Led(err)
}
