package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/messages"
)

// mirrorPullers is how many nodes fetch through one mirror.
const mirrorPullers = 8

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// mirrorEgress takes what an image's registry gives while nodes fetch the image through one pull-through mirror: first one
// of them, as controllers admit them, then all others at once.
func mirrorEgress(ctx context.Context, o options) (_ Figure, err error) {
	from, err := startOrigin()
	if err != nil {
		return Figure{}, err
	}
	defer from.server.Close()
	image, err := from.push("bench/mirrored")
	if err != nil {
		return Figure{}, err
	}
	dir, err := temporary(o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem": {"rootdirectory": dir}, "cache": {"blobdescriptor": "inmemory"},
	}, Proxy: configuration.Proxy{RemoteURL: from.server.URL}}
	config.HTTP.Secret = messages.NewID()
	app := handlers.NewApp(ctx, config)
	defer func() { err = errors.Join(err, app.Shutdown()) }()
	mirror := httptest.NewServer(app)
	defer mirror.Close()
	before := from.gave.Load()
	size, err := fetchAll(ctx, image, mirror.URL)
	if err != nil {
		return Figure{}, err
	}
	all, limited := errgroup.WithContext(ctx)
	for range mirrorPullers - 1 {
		all.Go(func() error {
			_, err := fetchAll(limited, image, mirror.URL)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return Figure{}, err
	}
	gave := from.gave.Load() - before
	ratio := float64(gave) / float64(size)
	fmt.Fprintf(o.log, "bench: the registry gave %d bytes for an image of %d to %d nodes\n", gave, size, mirrorPullers)
	return Figure{
		Name: "mirror_egress_ratio", Value: ratio, Unit: "ratio", Peer: "the image's bytes", PeerValue: float64(size), Ratio: ratio,
		Target: "at most 1.10", Met: ratio <= 1.1,
	}, nil
}

// fetchAll fetches an image through a mirror as a node does that has nothing of it, and returns its size. The
// registry must not have been asked beside the mirror.
func fetchAll(ctx context.Context, image messages.Image, mirror string) (int64, error) {
	opener := content.New(content.Config{})
	from, err := opener.Open(image, []messages.Mirror{{URL: mirror, TimeLimit: messages.Duration(60e9)}})
	if err != nil {
		return 0, err
	}
	raw, err := from.Manifest(ctx, image.Digest())
	if err != nil {
		return 0, err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return 0, err
	}
	size := int64(len(raw))
	for _, l := range append([]v1.Descriptor{manifest.Config}, manifest.Layers...) {
		n, err := drain(ctx, from, l)
		if err != nil {
			return 0, err
		}
		size += n
	}
	if troubles := opener.Troubles(); len(troubles) > 0 {
		return 0, fmt.Errorf("the mirror failed: %s", troubles[0].Reason)
	}
	return size, nil
}

func drain(ctx context.Context, from distributor.Content, l v1.Descriptor) (int64, error) {
	blob, err := from.Blob(ctx, l.Digest.String(), l.Size)
	if err != nil {
		return 0, err
	}
	defer func() { _ = blob.Close() }()
	return io.Copy(io.Discard, blob)
}
