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
	"github.com/fenceline/fenceline/messages"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// registry puts tags and asks whether images exist. It speaks as its trust says.
type registry struct {
	logins logins
	trust  trust

	mu      sync.Mutex
	pusher  *remote.Pusher               // keeps what it learnt about a registry; nil after an error
	recent  map[messages.Image]*manifest // of what was just pushed, which will be tagged next
	ordered []messages.Image             // recent, oldest first
}

// maxRecent bounds how many manifests are kept for their tag.
const maxRecent = 32

func newRegistry(l logins, t trust) *registry {
	return &registry{logins: l, trust: t, recent: make(map[messages.Image]*manifest)}
}

// Resolve returns the login for a registry, as docker would.
func (r *registry) Resolve(target authn.Resource) (authn.Authenticator, error) {
	logins, err := r.logins.read()
	if err != nil {
		return nil, err
	}
	host := target.RegistryStr()
	if host == name.DefaultRegistry {
		host = authn.DefaultAuthKey
	}
	login, err := logins.GetAuthConfig(host)
	if err != nil {
		return nil, fmt.Errorf("reading the login for %s: %w", host, err)
	}
	c := authn.AuthConfig{Username: login.Username, Password: login.Password, Auth: login.Auth, IdentityToken: login.IdentityToken, RegistryToken: login.RegistryToken}
	if c == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(c), nil
}

// tag points a tag at an image.
func (r *registry) tag(ctx context.Context, image messages.Image, tag string) error {
	target, err := r.trust.reference(image.Name() + ":" + tag)
	if err != nil {
		return fmt.Errorf("tagging %s: %w", image, err)
	}
	host := target.Context().RegistryStr()
	m := r.remembered(image)
	if m == nil {
		digest := target.Context().Digest(image.Digest())
		d, err := remote.Get(digest, r.options(ctx)...)
		if err != nil {
			return fmt.Errorf("tagging %s as %s: reading its manifest: %w", image, tag, r.trust.mended(err, host))
		}
		m = &manifest{raw: d.Manifest, mediaType: d.MediaType}
	}
	if err := r.put(ctx, target, m); err != nil {
		return fmt.Errorf("tagging %s as %s: %w", image, tag, r.trust.mended(err, host))
	}
	return nil
}

func (r *registry) options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(r), remote.WithTransport(r.trust.transport)}
}

func (r *registry) put(ctx context.Context, target name.Reference, m *manifest) error {
	r.mu.Lock()
	pusher := r.pusher
	r.mu.Unlock()
	if pusher == nil {
		var err error
		if pusher, err = remote.NewPusher(remote.WithAuthFromKeychain(r), remote.WithTransport(r.trust.transport)); err != nil {
			return err
		}
	}
	err := pusher.Put(ctx, target, m)
	if err != nil {
		pusher = nil
	}
	r.mu.Lock()
	r.pusher = pusher
	r.mu.Unlock()
	return err
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
	present answer = iota // it has the image
	absent                // it has no such image
	denied                // it wants another login, or any
	silent                // it can't be reached, or has trouble of its own
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
	_, err = remote.Head(ref, r.options(ctx)...)
	var refused *transport.Error
	switch {
	case err == nil:
		return present, nil
	case errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound:
		return absent, err
	case errors.As(err, &refused) && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden):
		return denied, err
	}
	return silent, r.trust.mended(err, ref.Context().RegistryStr())
}

// manifest is a pushed manifest, as its bytes.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
}

// RawManifest returns the bytes.
func (m *manifest) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType returns what kind of manifest it is.
func (m *manifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

// pushed reads a pushed image's manifest where it costs nothing, from buildkitd: it is kept
// for the tag, and tells the size of the layers. 0 is an unknown size.
func (s *Solver) pushed(ctx context.Context, image messages.Image, response map[string]string) int64 {
	text, err := base64.StdEncoding.DecodeString(response[exptypes.ExporterImageDescriptorKey])
	if err != nil {
		return 0
	}
	var d ocispecs.Descriptor
	if err := json.Unmarshal(text, &d); err != nil || d.Digest.String() != image.Digest() {
		return 0
	}
	store := proxy.NewContentStore(s.client.ContentClient())
	raw, err := content.ReadBlob(ctx, store, d)
	if err != nil {
		return 0
	}
	s.registry.remember(image, &manifest{raw: raw, mediaType: types.MediaType(d.MediaType)})
	return layerBytes(ctx, store, raw)
}

// layerBytes adds up the layers of a manifest, or of the first manifest of an index.
func layerBytes(ctx context.Context, store content.Provider, raw []byte) int64 {
	var m struct {
		Layers    []ocispecs.Descriptor `json:"layers"`
		Manifests []ocispecs.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return 0
	}
	if len(m.Manifests) > 0 {
		inner, err := content.ReadBlob(ctx, store, m.Manifests[0])
		if err != nil || json.Unmarshal(inner, &m) != nil {
			return 0
		}
	}
	var sum int64
	for _, l := range m.Layers {
		sum += l.Size
	}
	return sum
}
