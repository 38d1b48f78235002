package buildkit

import (
	"context"
	"slices"
	"sync"

	"github.com/containerd/platforms"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	digest "github.com/opencontainers/go-digest"
)

// fix marks the bases that the Dockerfile gives by digest. BuildKit's plan has all of them resolved, so that the Dockerfile is
// read for what it calls each, its arguments put in.
func (p *plan) fix(bases []messages.PinnedBase, of *messages.Pipeline) {
	names := p.names(of)
	for i, b := range bases {
		// Where another line has the tag alone, the tag counts.
		bases[i].Fixed = slices.Contains(names, b.Source+"@"+b.Image.Digest()) && !slices.Contains(names, b.Source)
	}
}

// names lists what the Dockerfile calls its image sources, normalised, each with its digest where it gives one. Those of
// the bases' ONBUILD lines are not among them.
func (p *plan) names(of *messages.Pipeline) []string {
	platform := platforms.DefaultSpec()
	if asked, err := platforms.Parse(of.Platform); err == nil {
		platform = asked
	}
	platform.OS = "linux"
	read := new(nameReader)
	for _, info := range p.source.GetInfos() {
		// An error came from BuildKit before, or is about an image of which nothing is known here.
		_, _ = dockerfile2llb.Dockerfile2LLB(context.Background(), info.GetData(), dockerfile2llb.ConvertOpt{
			Config: dockerui.Config{BuildArgs: of.BuildArgs}, TargetPlatform: &platform, MetaResolver: read,
		})
	}
	return read.names
}

// nameReader is told by the frontend what a Dockerfile calls its image sources.
type nameReader struct {
	mu    sync.Mutex
	names []string
}

// ResolveImageConfig notes an image, and takes it for an empty one.
func (r *nameReader) ResolveImageConfig(_ context.Context, named string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	r.mu.Lock()
	r.names = append(r.names, named)
	r.mu.Unlock()
	return named, "", []byte(`{"os":"linux"}`), nil
}
