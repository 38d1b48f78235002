package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Images lists copies.
func (f *Fake) Images(ctx context.Context) ([]distributor.Image, error) {
	done, err := f.up(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var out []distributor.Image
	for _, i := range f.images {
		i.Tags, i.Digests = slices.Clone(i.Tags), slices.Clone(i.Digests)
		out = append(out, i)
	}
	return out, nil
}

// Inspect finds an image.
func (f *Fake) Inspect(ctx context.Context, image messages.Image) (distributor.Image, error) {
	done, err := f.up(ctx)
	if err != nil {
		return distributor.Image{}, err
	}
	defer done()
	if err := f.Broken[image]; err != nil {
		return distributor.Image{}, fmt.Errorf("inspecting %s: %w", image, err)
	}
	if i := f.find(image); i != nil {
		return distributor.Image{ID: i.ID, Digests: slices.Clone(i.Digests), Tags: slices.Clone(i.Tags), Fed: i.Fed}, nil
	}
	return distributor.Image{}, fmt.Errorf("inspecting %s: %w", image, distributor.ErrNotFound)
}

// Pull copies from Registry, when Hold lets it.
func (f *Fake) Pull(ctx context.Context, image messages.Image, progress func(distributor.Progress)) (int64, error) {
	done, err := f.up(ctx)
	if err != nil {
		return 0, err
	}
	f.Pulled = append(f.Pulled, image)
	hold, moves := f.Hold, f.Moves
	done()
	var at distributor.Progress
	for held := hold != nil || moves != nil; held; {
		select {
		case _, held = <-hold:
			progress(distributor.Progress{})
		case at, held = <-moves:
			if held {
				progress(at)
			}
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	bytes, err := f.take(ctx, image)
	if err == nil {
		progress(distributor.Progress{Bytes: bytes, Total: bytes})
	}
	return bytes, err
}

// Load copies from Registry, once the content's manifest can be read.
func (f *Fake) Load(ctx context.Context, image messages.Image, from distributor.Content, progress func(distributor.Progress)) (int64, error) {
	f.Do(func(f *Fake) { f.Loaded = append(f.Loaded, image) })
	if _, err := from.Manifest(ctx, image.Digest()); err != nil {
		return 0, fmt.Errorf("loading %s: %w", image, err)
	}
	bytes, err := f.take(ctx, image)
	if err == nil {
		progress(distributor.Progress{Bytes: bytes, Total: bytes, From: from.From()})
		f.Do(func(f *Fake) { f.find(image).Fed = f.Classic })
	}
	return bytes, err
}

// Learn asks the registry where that is not gone.
func (f *Fake) Learn(ctx context.Context, image messages.Image) error {
	done, err := f.up(ctx)
	if err != nil {
		return err
	}
	f.Learned = append(f.Learned, image)
	silent := f.Silent
	done()
	if silent != nil {
		select {
		case <-silent:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if done, err = f.up(ctx); err != nil {
		return err
	}
	defer done()
	i := f.find(image)
	switch {
	case i == nil:
		return fmt.Errorf("asking for %s: %w", image, distributor.ErrNotFound)
	case f.Mute[image]:
		return fmt.Errorf("asking for %s: %w", image, distributor.ErrRegistry)
	}
	i.Fed = false
	return nil
}

// take copies an image from Registry, and returns the bytes of the layers that it lacked.
func (f *Fake) take(ctx context.Context, image messages.Image) (int64, error) {
	done, err := f.up(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	_, ok := f.Registry[image]
	switch {
	case f.Gone[image]:
		return 0, fmt.Errorf("pulling %s: %w", image, distributor.ErrRegistry)
	case f.Unfit[image]:
		return 0, fmt.Errorf("pulling %s: %w: max depth exceeded", image, distributor.ErrImage)
	case !ok:
		return 0, fmt.Errorf("pulling %s: %w", image, distributor.ErrNotFound)
	}
	bytes := f.lacks(image)
	if f.Free >= 0 && bytes > f.Free {
		return f.Free, fmt.Errorf("pulling %s: %w", image, distributor.ErrNoSpace)
	}
	if f.find(image) == nil {
		f.images = append(f.images, distributor.Image{ID: "id-" + image.Digest(), Digests: []string{string(image)}})
	}
	return bytes, nil
}

// lacks is how many bytes of an image's layers are not there.
func (f *Fake) lacks(image messages.Image) int64 {
	var bytes int64
	for layer, n := range f.Registry[image].Layers {
		if !f.hasLayer(layer) {
			bytes += n
		}
	}
	return bytes
}

func (f *Fake) hasLayer(layer string) bool {
	return slices.ContainsFunc(f.images, func(i distributor.Image) bool {
		return slices.ContainsFunc(i.Digests, func(d string) bool {
			_, ok := f.Registry[messages.Image(d)].Layers[layer]
			return ok
		})
	})
}

// Sound is Unsound.
func (f *Fake) Sound(ctx context.Context) error {
	done, err := f.up(ctx)
	if err != nil {
		return err
	}
	defer done()
	return f.Unsound
}

// Tag adds a name.
func (f *Fake) Tag(ctx context.Context, image messages.Image, local string) error {
	done, err := f.up(ctx)
	if err != nil {
		return err
	}
	defer done()
	if f.NoTags != nil {
		return f.NoTags
	}
	i := f.find(image)
	if i == nil {
		return fmt.Errorf("tagging %s: %w", image, distributor.ErrNotFound)
	}
	if !slices.Contains(i.Tags, local) {
		i.Tags = append(i.Tags, local)
	}
	return nil
}

// Remove takes a name off.
func (f *Fake) Remove(ctx context.Context, name string) error {
	done, err := f.up(ctx)
	if err != nil {
		return err
	}
	defer done()
	is := func(s string) bool { return s == name }
	for n := range f.images {
		i := &f.images[n]
		if !slices.ContainsFunc(i.Tags, is) && !slices.ContainsFunc(i.Digests, is) {
			continue
		}
		last := len(i.Tags)+len(i.Digests) == 1
		if last && slices.ContainsFunc(f.Used, func(c distributor.Container) bool { return c.ImageID == i.ID }) {
			return fmt.Errorf("removing %s: a container uses it", name)
		}
		i.Tags, i.Digests = slices.DeleteFunc(i.Tags, is), slices.DeleteFunc(i.Digests, is)
		delete(f.Broken, messages.Image(name))
		if errors.Is(f.NoTags, distributor.ErrDamaged) {
			f.NoTags = nil
		}
		f.Removed = append(f.Removed, name)
		if last && f.Freed != nil {
			f.Free += f.Freed(*i)
		}
	}
	f.images = slices.DeleteFunc(f.images, func(i distributor.Image) bool { return len(i.Tags)+len(i.Digests) == 0 })
	f.notify()
	return nil
}
