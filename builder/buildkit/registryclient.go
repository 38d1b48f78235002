package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/pkg/reference"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

// registryClient speaks to one registry. It is containerd's, which BuildKit pulls and pushes with, so
// that what works there works here too: token servers on other hosts and private addresses,
// challenges of several kinds, a registry whose /v2/ doesn't answer.
type registryClient struct {
	hosts docker.RegistryHosts
}

// hubName is Docker Hub in images' names.
const hubName = "docker.io"

// newRegistryClient returns a client that asks a registry by another. It keeps the tokens that it is given.
func newRegistryClient(l registries.Logins, client *http.Client) *registryClient {
	return &registryClient{hosts: docker.ConfigureDefaultRegistries(
		docker.WithClient(client), docker.WithAuthorizer(l.Authorizer(client)),
	)}
}

// client is what asks a repository's registry, and whom it leads to.
func (t trust) client(of name.Repository) *http.Client {
	server := of.RegistryStr()
	if server == name.DefaultRegistry {
		server = registries.HubHost
	}
	way := registries.NewWay(server, t.transport, t.rules)
	if of.Scheme() == "http" {
		return way.Client(docker.NewHTTPFallback(way))
	}
	return way.Client(way)
}

// resolver returns what asks and writes. It is for one use: it takes what it has pushed before for
// there, whatever it is called.
func (c *registryClient) resolver() remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{Hosts: c.hosts})
}

// fullName is an image's name as containerd reads it.
func fullName(ref name.Reference) string {
	host := ref.Context().RegistryStr()
	if host == name.DefaultRegistry {
		host = hubName
	}
	separator := ":"
	if _, ok := ref.(name.Digest); ok {
		separator = "@"
	}
	return host + "/" + ref.Context().RepositoryStr() + separator + ref.Identifier()
}

// quietly keeps containerd from logging each answer that isn't a yes: that is told by its error.
func quietly(ctx context.Context) context.Context {
	return log.WithLogger(ctx, &log.Entry{Logger: &logrus.Logger{Out: io.Discard, Formatter: new(logrus.JSONFormatter), Hooks: make(logrus.LevelHooks), Level: logrus.PanicLevel}})
}

// manifest is a pushed manifest, as its bytes.
type manifest struct {
	raw       []byte
	mediaType string
}

// maxManifest bounds a manifest that is read, in bytes. Registries take none that is larger.
const maxManifest = 4 << 20

// manifest reads an image's manifest.
func (c *registryClient) manifest(ctx context.Context, image string) (*manifest, error) {
	resolver := c.resolver()
	_, d, err := resolver.Resolve(ctx, image)
	if err != nil {
		return nil, err
	}
	fetcher, err := resolver.Fetcher(ctx, image)
	if err != nil {
		return nil, err
	}
	body, err := fetcher.Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) > maxManifest:
		return nil, fmt.Errorf("it has more than %d bytes", maxManifest)
	case digest.FromBytes(raw) != d.Digest:
		return nil, fmt.Errorf("it is %s, not what was asked for", digest.FromBytes(raw))
	}
	return &manifest{raw: raw, mediaType: d.MediaType}, nil
}

// put writes a manifest under a name.
func (c *registryClient) put(ctx context.Context, image string, m *manifest) error {
	pusher, err := c.resolver().Pusher(ctx, image)
	if err != nil {
		return err
	}
	d := ocispecs.Descriptor{MediaType: m.mediaType, Digest: digest.FromBytes(m.raw), Size: int64(len(m.raw))}
	w, err := pusher.Push(ctx, d)
	if errdefs.IsAlreadyExists(err) {
		return nil // the tag is there already, on this image
	}
	if err != nil {
		return err
	}
	err = content.Copy(ctx, w, bytes.NewReader(m.raw), d.Size, d.Digest)
	return errors.Join(err, w.Close())
}

// takes asks whether the registry would take a layer for an image, and returns the status that it answers
// with, 0 for none. An upload that it begins for it is ended.
func (c *registryClient) takes(ctx context.Context, ref name.Reference) (int, error) {
	refspec, err := reference.Parse(fullName(ref))
	if err != nil {
		return 0, err
	}
	if ctx, err = docker.ContextWithRepositoryScope(ctx, refspec, true); err != nil {
		return 0, err
	}
	hosts, err := c.hosts(refspec.Hostname())
	if err != nil {
		return 0, err
	}
	address := url.URL{Scheme: hosts[0].Scheme, Host: hosts[0].Host, Path: hosts[0].Path + "/" + ref.Context().RepositoryStr() + "/blobs/uploads/"}
	var tried []*http.Response
	for {
		answer, err := request(ctx, hosts[0], http.MethodPost, address.String()) //nolint:bodyclose // request closes it
		if err != nil {
			return 0, err
		}
		tried = append(tried, answer) //nolint:bodyclose // as above
		if answer.StatusCode == http.StatusUnauthorized && len(tried) < 3 && hosts[0].Authorizer.AddResponses(ctx, tried) == nil {
			continue
		}
		if begun, err := answer.Location(); err == nil && answer.StatusCode == http.StatusAccepted {
			_, _ = request(ctx, hosts[0], http.MethodDelete, begun.String()) //nolint:bodyclose // request closes it; a registry forgets an upload in time
		}
		return answer.StatusCode, nil
	}
}

// request does a request without a body, and returns the answer without its own.
func request(ctx context.Context, host docker.RegistryHost, method, address string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	if err := host.Authorizer.Authorize(ctx, q); err != nil {
		return nil, err
	}
	answer, err := host.Client.Do(q)
	if err != nil {
		return nil, err
	}
	return answer, answer.Body.Close()
}
