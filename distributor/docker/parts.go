package docker

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// maxConfig bounds an image's configuration.
const maxConfig = 16 << 20

// parts is what an image is made of, without its layers.
type parts struct {
	image        messages.Image
	manifests    []rawManifest // the one that the image's digest names first, then that for this engine
	manifest     *v1.Manifest  // for this engine
	configDigest string
	rawConfig    []byte
	config       *v1.ConfigFile
}

// rawManifest is a manifest or index as it came.
type rawManifest struct {
	digest, mediaType string
	raw               []byte
}

// partsOf reads an image's manifests and configuration.
func (e *Engine) partsOf(ctx context.Context, image messages.Image, from distributor.Content) (*parts, error) {
	p := &parts{image: image}
	digest, err := e.topManifest(ctx, p, image.Digest(), from)
	if err != nil {
		return nil, err
	}
	if digest != "" { // the first is an index
		raw, err := from.Manifest(ctx, digest)
		if err != nil {
			return nil, err
		}
		p.manifests = append(p.manifests, rawManifest{digest, mediaTypeOf(raw), raw})
	}
	last := p.manifests[len(p.manifests)-1]
	if p.manifest, err = v1.ParseManifest(bytes.NewReader(last.raw)); err != nil {
		return nil, fmt.Errorf("%w: reading its manifest: %w", distributor.ErrImage, err)
	}
	if p.manifest.SchemaVersion != 2 {
		return nil, fmt.Errorf("%w: its manifest is of schema %d, which holds no layers by digest: push it with a newer engine", distributor.ErrImage, p.manifest.SchemaVersion)
	}
	p.configDigest = p.manifest.Config.Digest.String()
	if p.manifest.Config.Size > maxConfig {
		return nil, fmt.Errorf("%w: its configuration has %d bytes, more than %d", distributor.ErrImage, p.manifest.Config.Size, maxConfig)
	}
	config, err := from.Blob(ctx, p.configDigest, p.manifest.Config.Size)
	if err != nil {
		return nil, err
	}
	defer func() { _ = config.Close() }()
	if p.rawConfig, err = io.ReadAll(config); err != nil {
		return nil, err
	}
	if p.config, err = v1.ParseConfigFile(bytes.NewReader(p.rawConfig)); err != nil {
		return nil, fmt.Errorf("%w: reading its configuration: %w", distributor.ErrImage, err)
	}
	if have, want := len(p.manifest.Layers), len(p.config.RootFS.DiffIDs); have != want {
		return nil, fmt.Errorf("%w: its manifest has %d layers, its configuration %d", distributor.ErrImage, have, want)
	}
	return p, nil
}

// topManifest reads the manifest that the image's digest names. Where it is an index, digest is that of the
// manifest for this engine.
func (e *Engine) topManifest(ctx context.Context, p *parts, named string, from distributor.Content) (digest string, err error) {
	raw, err := from.Manifest(ctx, named)
	if err != nil {
		return "", err
	}
	kind := mediaTypeOf(raw)
	p.manifests = append(p.manifests, rawManifest{named, kind, raw})
	if !types.MediaType(kind).IsIndex() {
		return "", nil
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return "", fmt.Errorf("%w: reading its index: %w", distributor.ErrImage, err)
	}
	v, err := e.api().ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", e.fault(ctx, "asking for the platform", err)
	}
	for _, m := range index.Manifests {
		if m.Platform != nil && m.Platform.OS == v.Os && m.Platform.Architecture == v.Arch {
			return m.Digest.String(), nil
		}
	}
	return "", fmt.Errorf("%w: its index has no matching manifest for %s/%s", distributor.ErrImage, v.Os, v.Arch)
}

// mediaTypeOf is a manifest's own word on its type, or what its fields tell.
func mediaTypeOf(raw []byte) string {
	m, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	switch {
	case err != nil:
		return ""
	case m.MediaType != "":
		return string(m.MediaType)
	case m.Manifests != nil:
		return string(types.OCIImageIndex)
	}
	return string(types.OCIManifestSchema1)
}

// heldLayers is how many layers of an image, from the first on, are those of images that the engine has. Images of
// its repository are looked at first, as each look takes time: one that has all but the last layer is taken for the
// nearest, unless the engine has the same image under another name.
func (e *Engine) heldLayers(ctx context.Context, p *parts, lists bool) (int, error) {
	layers, id := p.config.RootFS.DiffIDs, p.configDigest
	if lists {
		id = p.manifests[0].digest
	}
	if _, err := e.api().ImageInspect(ctx, id); err == nil {
		return len(layers), nil
	}
	list, err := e.api().ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return 0, err
	}
	sameName := func(i image.Summary) int {
		for _, n := range slices.Concat(i.RepoDigests, i.RepoTags) {
			if strings.HasPrefix(n, p.image.Name()+"@") || strings.HasPrefix(n, p.image.Name()+":") {
				return 0
			}
		}
		return 1
	}
	slices.SortStableFunc(list.Items, func(a, b image.Summary) int { return cmp.Compare(sameName(a), sameName(b)) })
	held := 0
	for _, i := range list.Items {
		got, err := e.api().ImageInspect(ctx, i.ID)
		if err != nil {
			continue // it is gone, or not whole: nothing is known of its layers
		}
		n := 0
		for n < min(len(layers), len(got.RootFS.Layers)) && got.RootFS.Layers[n] == layers[n].String() {
			n++
		}
		if held = max(held, n); held >= len(layers)-1 {
			break
		}
	}
	return held, nil
}

// snapshots tells whether containerd keeps the engine's images. It is asked once, and again after the engine was
// gone.
func (e *Engine) snapshots(ctx context.Context) (bool, error) {
	e.mu.Lock()
	known := e.lists
	e.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	got, err := e.api().Info(ctx, client.InfoOptions{})
	if err != nil {
		return false, err
	}
	lists := slices.Contains(got.Info.DriverStatus, [2]string{"driver-type", snapshotter})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lists = &lists
	return lists, nil
}

// keptMark begins the tag under which an engine knows an image that it was fed: an engine without containerd's
// store learns digests from registries alone.
const keptMark = "fenceline-sha256-"

// keptTag is that tag.
func keptTag(image messages.Image) string {
	return image.Name() + ":" + keptMark + hexOf(image.Digest())
}

// keptAs is the image that such a tag is of, or "".
func keptAs(tag string) messages.Image {
	at := strings.LastIndex(tag, ":"+keptMark)
	if at < 0 {
		return ""
	}
	image, err := messages.NewImage(tag[:at], "sha256:"+tag[at+len(":"+keptMark):])
	if err != nil {
		return ""
	}
	return image
}

// nameOf is the name by which the engine knows an image: its own, or the tag that it was fed under.
func (e *Engine) nameOf(ctx context.Context, image string) string {
	if _, err := e.api().ImageInspect(ctx, image); err == nil || !strings.Contains(image, "@") {
		return image
	}
	if id := hexOf(messages.Image(image).Digest()); e.isBefore(apiDigests) {
		return id
	}
	tag := keptTag(messages.Image(image))
	if _, err := e.api().ImageInspect(ctx, tag); err == nil {
		return tag
	}
	return image
}

// learnTimeout bounds that: a registry that is away must not hold up a node that has the image.
const learnTimeout = 3 * time.Second

// learn has an engine ask the registry for a manifest whose layers it has all, so that it knows the image by its
// digest, too. The tag stays: with the last tag of a repository such an engine forgets the digests of it.
func (e *Engine) learn(ctx context.Context, image messages.Image) {
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	login, err := e.logins.of(image)
	if err != nil {
		return
	}
	answer, err := e.api().ImagePull(ctx, string(image), client.ImagePullOptions{RegistryAuth: login.header})
	if err != nil {
		return
	}
	_ = answer.Wait(ctx) // where the registry can't be had, the tag must do
}
