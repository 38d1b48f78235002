package docker

import (
	"errors"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/fenceline/fenceline/distributor"
)

// The texts are those of Docker 20.10 and of containerd's image store.
func TestErrorsOfAPullAreSorted(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"disk full while a layer is unpacked": {&jsonstream.Error{Message: "failed to register layer: write /var/lib/docker/tmp: no space left on device"}, distributor.ErrNoSpace},
		"registry gone":                       {errdefs.ErrInternal.WithMessage(`Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused`), distributor.ErrRegistry},
		"registry unknown to DNS":             {errors.New(`Get "https://r.example/v2/": dial tcp: lookup r.example: no such host`), distributor.ErrRegistry},
		"registry without TLS":                {errors.New("http: server gave HTTP response to HTTPS client"), distributor.ErrRegistry},
		"no such manifest":                    {errdefs.ErrNotFound.WithMessage("manifest for r.example/x@sha256:0 not found: manifest unknown: manifest unknown"), distributor.ErrNotFound},
		"password asked for":                  {errdefs.ErrInternal.WithMessage(`Get "https://r.example/v2/x": unauthorized: authentication required`), distributor.ErrUnauthorized},
		"access denied":                       {errdefs.ErrNotFound.WithMessage("pull access denied for x, repository does not exist or may require 'docker login'"), distributor.ErrUnauthorized},
		"a layer that can't be read":          {errors.New("archive/tar: invalid tar header"), nil},
	} {
		if got := kindOf(c.err); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
