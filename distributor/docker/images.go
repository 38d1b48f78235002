package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// imageOf sorts the names that an engine has for an image. The containerd store is a list of names
// without more: there the name@digest of a pull stands among the tags, and every tag makes a digest of
// its own name, so that those of local tags say nothing.
func imageOf(id string, digests, tags []string) distributor.Image {
	i := distributor.Image{ID: id, Digests: []string{}, Tags: []string{}}
	for _, n := range slices.Concat(digests, tags) {
		switch {
		case strings.HasPrefix(n, "<none>"): // as older engines fill empty places
		case keptAs(n) != "":
			if kept := string(keptAs(n)); !slices.Contains(i.Digests, kept) {
				i.Digests = append(i.Digests, kept)
			}
		case !strings.Contains(n, "@"):
			i.Tags = append(i.Tags, n)
		case !messages.IsLocal(n) && !slices.Contains(i.Digests, n):
			i.Digests = append(i.Digests, n)
		}
	}
	return i
}

// Inspect reads one image. Of the containerd store it asks whether all is there that the image is made
// of, as that store goes on naming an image whose content is gone.
func (e *Engine) Inspect(ctx context.Context, name messages.Image) (distributor.Image, error) {
	doing := "inspecting " + string(name)
	var options []client.ImageInspectOption
	version, err := e.version(ctx)
	if err != nil {
		return distributor.Image{}, e.fault(ctx, doing, err)
	}
	if e.isBefore(apiDigests) {
		return e.inspectStack(ctx, doing, name)
	}
	lists := versions.GreaterThanOrEqualTo(version, "1.48")
	if lists {
		options = append(options, client.ImageInspectWithManifests(true))
	}
	i, err := e.api().ImageInspect(ctx, string(name), options...)
	if errdefs.IsNotFound(err) {
		if kept, no := e.api().ImageInspect(ctx, keptTag(name), options...); no == nil {
			i, err = kept, nil
		}
	}
	switch {
	case err != nil:
		return distributor.Image{}, e.imageFault(ctx, doing, err)
	case i.Descriptor == nil: // the classic store, which looks for the files itself
	case i.Descriptor.MediaType == "application/octet-stream":
		err = errors.New("it does not know of what type the image is")
	case lists && len(i.Manifests) == 0: // that content of a layer is missing says nothing: it was not fetched where an image before had it unpacked
		err = errors.New("its manifest is not there")
	}
	if err != nil {
		return distributor.Image{}, fmt.Errorf("%s: %w: %w", doing, distributor.ErrDamaged, err)
	}
	return imageOf(i.ID, i.RepoDigests, i.RepoTags), nil
}

// imageFault is fault for a call about one image that asks no registry: what is not found is the image,
// or a part of one that is there.
func (e *Engine) imageFault(ctx context.Context, doing string, err error) error {
	if said := strings.ToLower(err.Error()); ctx.Err() == nil && errdefs.IsNotFound(err) && !strings.Contains(said, "no such image") && !strings.Contains(said, "no such id") {
		return fmt.Errorf("%s: %w: %w", doing, distributor.ErrDamaged, err)
	}
	return e.fault(ctx, doing, err)
}

// Tag names an image.
func (e *Engine) Tag(ctx context.Context, image messages.Image, local string) error {
	_, err := e.api().ImageTag(ctx, client.ImageTagOptions{Source: e.nameOf(ctx, string(image)), Target: local})
	if err != nil {
		return e.imageFault(ctx, fmt.Sprintf("tagging %s as %s", image, local), err)
	}
	return nil
}

// Remove takes a name off an image.
func (e *Engine) Remove(ctx context.Context, name string) error {
	names := []string{name}
	if image, err := messages.ParseImage(name); err == nil { // it may be there by the tag that it was fed under
		names = []string{keptTag(image), name}
	}
	for _, name := range names {
		_, err := e.api().ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
		if err != nil && !errdefs.IsNotFound(err) {
			return e.fault(ctx, "removing "+name, err)
		}
	}
	return nil
}
