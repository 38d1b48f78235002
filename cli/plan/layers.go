package plan

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/messages"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// layersTimeout bounds what is asked of a registry about one image.
const layersTimeout = 20 * time.Second

// shelf has the layers of images, each asked for once. A registry that can't be reached is asked no more.
type shelf struct {
	opener   *content.Opener
	platform v1.Platform
	known    map[messages.Image]found
	away     map[string]error // by registry, as images' names begin
}

type found struct {
	layers   []distributor.Layer
	contents []string // of them
	err      error
}

func newShelf(c *buildkit.Catalog, platform string) *shelf {
	s := &shelf{
		opener:   content.New(content.Config{Login: c.Login, Transport: c}),
		platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, known: map[messages.Image]found{}, away: map[string]error{},
	}
	if parts := strings.Split(platform, "/"); len(parts) > 1 {
		s.platform = v1.Platform{OS: parts[0], Architecture: parts[1]}
	}
	return s
}

// layers are those of an image, from the lowest.
func (s *shelf) layers(ctx context.Context, image messages.Image) ([]distributor.Layer, error) {
	if f, ok := s.known[image]; ok {
		return f.layers, f.err
	}
	host, _, _ := strings.Cut(image.Name(), "/")
	if err := s.away[host]; err != nil {
		return nil, err
	}
	layers, err := s.read(ctx, image)
	s.known[image] = found{layers, distributor.ContentOf(layers), err}
	if err != nil && !errors.Is(err, distributor.ErrNotFound) && !errors.Is(err, distributor.ErrImage) {
		s.away[host] = err
	}
	return layers, err
}

// contents are what an image's layers unpack to; none where that is not known.
func (s *shelf) contents(ctx context.Context, image messages.Image) []string {
	if _, err := s.layers(ctx, image); err != nil {
		return nil
	}
	return s.known[image].contents
}

func (s *shelf) read(ctx context.Context, image messages.Image) ([]distributor.Layer, error) {
	ctx, cancel := context.WithTimeout(ctx, layersTimeout)
	defer cancel()
	from, err := s.opener.Open(image, nil)
	var layers []distributor.Layer
	if err == nil {
		layers, err = docker.LayersOf(ctx, image, from, s.platform)
	}
	if errors.Is(err, distributor.ErrUnauthorized) {
		err = &buildkit.FieldError{Field: "DockerConfig", Err: err}
	}
	return layers, err
}
