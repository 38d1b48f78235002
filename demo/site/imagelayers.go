package site

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Lacking is the size, as they travel, of the layers of an image that another image lacks: what
// a node that has the other one must fetch. Both are named by digest.
func Lacking(ctx context.Context, image, other string, login Login) (int64, error) {
	want, err := layers(ctx, image, login)
	if err != nil {
		return 0, err
	}
	have, err := layers(ctx, other, login)
	if err != nil {
		return 0, err
	}
	var sum int64
	for digest, size := range want {
		if _, ok := have[digest]; !ok {
			sum += size
		}
	}
	return sum, nil
}

// layers are the sizes of an image's layers in the registry.
func layers(ctx context.Context, image string, login Login) (map[v1.Hash]int64, error) {
	ref, err := name.NewDigest(image)
	if err != nil {
		return nil, fmt.Errorf("looking at the layers of %s: %w", image, err)
	}
	found, err := remote.Image(ref, remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: login.User, Password: login.Password}))
	if err != nil {
		return nil, fmt.Errorf("looking at the layers of %s: %w", image, err)
	}
	manifest, err := found.Manifest()
	if err != nil {
		return nil, fmt.Errorf("looking at the layers of %s: %w", image, err)
	}
	sizes := map[v1.Hash]int64{}
	for _, l := range manifest.Layers {
		sizes[l.Digest] = l.Size
	}
	return sizes, nil
}
