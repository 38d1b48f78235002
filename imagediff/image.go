package imagediff

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/fenceline/fenceline/messages"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// image is an image whose manifest and configuration were read.
type image struct {
	source   *source
	name     messages.Image // by its digest
	manifest digest.Digest  // of the platform's manifest
	platform string
	hooksDir string // without a slash in front
	config   ocispecs.Image
	layers   []ocispecs.Descriptor // from the lowest
}

// maxLayers is far above what engines mount.
const maxLayers = 1000

// open reads an image's manifest and configuration.
func (c *Client) open(ctx context.Context, w Wanted, platform string) (*image, error) {
	s, ref, d, err := c.find(ctx, w.Ref)
	if err != nil {
		return nil, err
	}
	i := &image{source: s, hooksDir: strings.TrimPrefix(path.Clean("/"+hooksDirOf(w)), "/")}
	if i.name, err = messages.NewImage(ref.Context().Name(), d.Digest.String()); err != nil {
		return nil, fmt.Errorf("reading image %s: %w", w.Ref, err)
	}
	raw, err := s.small(ctx, "its manifest", d)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(raw)
	if err == nil && len(m.Manifests) > 0 {
		if d, err = choose(m.Manifests, platform); err == nil {
			if raw, err = s.small(ctx, "its manifest for "+platformOf(d.Platform), d); err != nil {
				return nil, err
			}
			m, err = readManifest(raw)
		}
	}
	switch {
	case err != nil:
	case m.Config.Digest == "":
		err = fmt.Errorf("its manifest is of a form from before 2016, or of no image: push it anew")
	case len(m.Layers) > maxLayers:
		err = fmt.Errorf("it has %d layers", len(m.Layers))
	}
	if err != nil {
		return nil, fmt.Errorf("reading image %s: %w", w.Ref, err)
	}
	i.manifest, i.layers = d.Digest, m.Layers
	if raw, err = s.small(ctx, "its configuration", m.Config); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &i.config); err != nil {
		return nil, fmt.Errorf("reading image %s: its configuration can't be read: %w", w.Ref, err)
	}
	i.platform = platformOf(&i.config.Platform)
	if platform != "" && !strings.HasPrefix(i.platform+"/", platform+"/") {
		return nil, fmt.Errorf("reading image %s: it is for %s, not for %s", w.Ref, i.platform, platform)
	}
	return i, nil
}

// manifest is one of an image or of an index.
type manifest struct {
	Config    ocispecs.Descriptor   `json:"config"`
	Layers    []ocispecs.Descriptor `json:"layers"`
	Manifests []ocispecs.Descriptor `json:"manifests"`
}

func readManifest(raw []byte) (*manifest, error) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("its manifest can't be read: %w", err)
	}
	all := append(append([]ocispecs.Descriptor{}, m.Layers...), m.Manifests...)
	if len(m.Manifests) == 0 && m.Config.Digest != "" {
		all = append(all, m.Config)
	}
	for _, d := range all {
		if err := d.Digest.Validate(); err != nil || d.Size < 0 {
			return nil, fmt.Errorf("its manifest names %q of %d bytes: %w", messages.Shorten(d.Digest.String(), 100), d.Size, err)
		}
	}
	return &m, nil
}

// choose takes the image of an index that is for a platform. Attestations are for none.
func choose(all []ocispecs.Descriptor, platform string) (ocispecs.Descriptor, error) {
	want := platform
	if want == "" {
		want = "linux/" + runtime.GOARCH
	}
	var has []string
	var first *ocispecs.Descriptor
	for i := range all {
		p := platformOf(all[i].Platform)
		if p == "" || strings.HasPrefix(p, "unknown/") {
			continue
		}
		if strings.HasPrefix(p+"/", want+"/") {
			return all[i], nil
		}
		if has = append(has, p); first == nil {
			first = &all[i]
		}
	}
	switch {
	case first == nil:
		return ocispecs.Descriptor{}, fmt.Errorf("its index has no image for any platform")
	case platform != "":
		return ocispecs.Descriptor{}, fmt.Errorf("its index has no image for %s: it has %s", platform, messages.Shorten(strings.Join(has, ", "), 400))
	}
	return *first, nil
}

// platformOf is OS/ARCH[/VARIANT].
func platformOf(p *ocispecs.Platform) string {
	if p == nil || p.OS == "" && p.Architecture == "" {
		return ""
	}
	out := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		out += "/" + p.Variant
	}
	return out
}

// told is an image as a Diff has it.
func (i *image) told() Image {
	out := Image{Image: i.name, Manifest: i.manifest.String(), Platform: i.platform, Layers: len(i.layers)}
	for _, l := range i.layers {
		out.Bytes += l.Size
	}
	return out
}
