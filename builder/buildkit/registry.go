package buildkit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// registry puts tags and asks whether images exist. It speaks as its trust says.
type registry struct {
	logins registries.Logins
	trust  trust
	open   func(name.Repository) *http.Client // what asks a repository's registry

	mu      sync.Mutex
	clients map[string]*registryClient   // by registry; none after an error, so that a changed login counts
	recent  map[messages.Image]*manifest // of what was just pushed, which will be tagged next
	ordered []messages.Image             // recent, oldest first
}

// maxRecent bounds how many manifests are kept for their tag.
const maxRecent = 32

func newRegistry(l registries.Logins, t trust) *registry {
	return &registry{logins: l, trust: t, open: t.client, clients: make(map[string]*registryClient), recent: make(map[messages.Image]*manifest)}
}

// tag points a tag at an image.
func (r *registry) tag(ctx context.Context, image messages.Image, tag string) error {
	target, err := r.trust.reference(image.Name() + ":" + tag)
	if err != nil {
		return fmt.Errorf("tagging %s: %w", image, err)
	}
	err = r.speak(ctx, target, func(ctx context.Context, c *registryClient) error {
		m := r.remembered(image)
		if m == nil {
			var err error
			if m, err = c.manifest(ctx, fullName(target.Context().Digest(image.Digest()))); err != nil {
				return fmt.Errorf("reading its manifest: %w", err)
			}
		}
		return c.put(ctx, fullName(target), m)
	})
	if err != nil {
		return fmt.Errorf("tagging %s as %s: %w", image, tag, err)
	}
	return nil
}

// speak does something with the client for a reference's registry.
func (r *registry) speak(ctx context.Context, ref name.Reference, do func(context.Context, *registryClient) error) error {
	host := ref.Context().RegistryStr()
	r.mu.Lock()
	c := r.clients[host]
	if c == nil {
		c = newRegistryClient(r.logins, r.open(ref.Context()))
		r.clients[host] = c
	}
	r.mu.Unlock()
	err := do(quietly(ctx), c)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	if r.clients[host] == c {
		delete(r.clients, host)
	}
	r.mu.Unlock()
	return r.trust.mended(err, host)
}

func (r *registry) remember(image messages.Image, m *manifest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.recent[image]; ok {
		return
	}
	r.recent[image] = m
	if r.ordered = append(r.ordered, image); len(r.ordered) > maxRecent {
		delete(r.recent, r.ordered[0])
		r.ordered = r.ordered[1:]
	}
}

func (r *registry) remembered(image messages.Image) *manifest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recent[image]
}

// answer is what a registry says about an image.
type answer int

// What a registry can say.
const (
	present  answer = iota // it has the image
	absent                 // it has no such image
	denied                 // it wants another login, or any
	troubled               // it answers that it can't tell now
	silent                 // it can't be reached
)

// askTimeout bounds one question to a registry.
const askTimeout = 10 * time.Second

// ask asks an image's registry whether it has it.
func (r *registry) ask(ctx context.Context, image string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ref, err := r.trust.reference(image)
	if err != nil {
		return absent, err
	}
	err = r.speak(ctx, ref, func(ctx context.Context, c *registryClient) error {
		_, _, err := c.resolver().Resolve(ctx, fullName(ref))
		return err
	})
	return heard(err), err
}

// takes asks an image's registry whether it would take a layer for it, and returns the status of an
// answer that is no yes, else 0.
func (r *registry) takes(ctx context.Context, image string) int {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ref, err := r.trust.reference(image)
	if err != nil {
		return 0
	}
	status := 0
	_ = r.speak(ctx, ref, func(ctx context.Context, c *registryClient) (err error) {
		status, err = c.takes(ctx, ref)
		return err
	})
	if status < 400 {
		return 0
	}
	return status
}

// heard tells by its type what an error of a registry says.
func heard(err error) answer {
	var status remoteerrors.ErrUnexpectedStatus
	switch {
	case err == nil:
		return present
	case errdefs.IsNotFound(err):
		return absent
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return denied
	case !errors.As(err, &status):
		return silent
	case status.StatusCode == http.StatusNotFound:
		return absent
	case status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden:
		return denied
	}
	return troubled
}

// pushed reads a pushed image's manifest where it costs nothing, from buildkitd: it is kept
// for the tag, and tells of the layers. The zero value is for what isn't known.
func (s *Solver) pushed(ctx context.Context, image messages.Image, response map[string]string) packed {
	text, err := base64.StdEncoding.DecodeString(response[exptypes.ExporterImageDescriptorKey])
	if err != nil {
		return packed{}
	}
	var d ocispecs.Descriptor
	if err := json.Unmarshal(text, &d); err != nil || d.Digest.String() != image.Digest() {
		return packed{}
	}
	store := proxy.NewContentStore(s.client.ContentClient())
	raw, err := content.ReadBlob(ctx, store, d)
	if err != nil {
		return packed{}
	}
	s.registry.remember(image, &manifest{raw: raw, mediaType: d.MediaType})
	return readPacked(ctx, store, raw)
}
