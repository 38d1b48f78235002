package buildkit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// What engines can mount. Docker's layer store chains at most 125 layers (maxLayerDepth in moby's
// layer/layer_store.go: 127 that some drivers take, less two for the container's own), whatever overlay2
// takes below it (maxDepth, 128, in daemon/graphdriver/overlay2/overlay.go). With its containerd store an
// engine takes more; a fleet may have engines of both.
const (
	maxLayers  = 125
	manyLayers = 120 // from here on people are warned
)

// tooManyLayers is the failure of an image that engines can't mount, or nil.
func tooManyLayers(n int) error {
	if n <= maxLayers {
		return nil
	}
	return failed(messages.Failure{
		Class:  messages.FailureUser,
		Reason: fmt.Sprintf("the image has %d layers, and the nodes' engines mount at most %d (overlay2)", n, maxLayers),
		Fix:    "make fewer of them: copy several files in one COPY, run several commands in one RUN, or begin with a base that has fewer",
	})
}

// countLayers refuses a build of too many layers before anything is built, and warns of one that has
// nearly as many.
func (r *run) countLayers(p *plan, bases map[messages.Image]packed) error {
	n := p.layers(func(image messages.Image) int { return bases[image].layers })
	if err := tooManyLayers(n); err != nil {
		return err
	}
	if n >= manyLayers {
		r.remark(fmt.Sprintf("warning: the image has %d layers, and engines mount at most %d (overlay2): make fewer before that is reached", n, maxLayers))
	}
	return nil
}

// layers counts the layers that the build's result has, of which base tells how many an image has. Each
// step that writes files makes one, whether it changes any or not.
func (p *plan) layers(base func(messages.Image) int) int {
	known := make(map[string]int) // the steps whose layers are counted; a plan has no circles, but it comes from outside
	var count func(digest string) int
	below := func(op *pb.Op, i int64) int {
		if i < 0 || i >= int64(len(op.GetInputs())) {
			return 0 // scratch
		}
		return count(op.GetInputs()[i].GetDigest())
	}
	count = func(digest string) int {
		if n, ok := known[digest]; ok {
			return n
		}
		known[digest] = 0
		op := p.ops[digest]
		n := 0
		switch {
		case op.GetSource() != nil:
			if image, err := imageOf(op.GetSource()); err == nil {
				n = base(image)
			}
		case op.GetFile() != nil:
			n = 1
			if a := op.GetFile().GetActions(); len(a) > 0 {
				n += below(op, a[0].GetInput())
			}
		case op.GetExec() != nil:
			n = 1
			for _, m := range op.GetExec().GetMounts() {
				if m.GetDest() == "/" {
					n += below(op, m.GetInput())
				}
			}
		case op.GetMerge() != nil:
			for i := range op.GetInputs() {
				n += below(op, int64(i))
			}
		case op.GetDiff() != nil:
			n = 1
		default:
			n = below(op, 0) // the plan's end
		}
		known[digest] = n
		return n
	}
	return count(p.end())
}

// end is the digest of the plan's last operation, which no other needs.
func (p *plan) end() string {
	needed := make(map[string]bool)
	for _, op := range p.ops {
		for _, in := range op.GetInputs() {
			needed[in.GetDigest()] = true
		}
	}
	for digest, op := range p.ops {
		if !needed[digest] && op.GetOp() == nil {
			return digest
		}
	}
	return ""
}

// packed is what a pushed image's manifest says of its layers.
type packed struct {
	layers int
	bytes  int64 // compressed; 0 where it is not known
	zstd   bool  // an engine before Docker 23 can't unpack such layers
}

// isZstd knows layers' media types, https://github.com/opencontainers/image-spec/blob/main/layer.md, and Docker's own.
func isZstd(mediaType string) bool {
	return strings.HasSuffix(mediaType, "+zstd") || strings.HasSuffix(mediaType, ".zstd")
}

// readPacked reads a manifest, or the first manifest of an index that is in the store.
func readPacked(ctx context.Context, store content.Provider, raw []byte) packed {
	var m struct {
		Layers    []ocispecs.Descriptor `json:"layers"`
		Manifests []ocispecs.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return packed{}
	}
	for _, inner := range m.Manifests {
		if raw, err := content.ReadBlob(ctx, store, inner); err == nil {
			return readPacked(ctx, store, raw)
		}
	}
	p := packed{layers: len(m.Layers)}
	for _, l := range m.Layers {
		p.bytes += l.Size
		p.zstd = p.zstd || isZstd(l.MediaType)
	}
	return p
}

// basesPacked tells of the bases whose manifests buildkitd has read.
func (s *Solver) basesPacked(ctx context.Context, bases []messages.PinnedBase) map[messages.Image]packed {
	store := proxy.NewContentStore(s.client.ContentClient())
	found := make(map[messages.Image]packed)
	for _, b := range bases {
		raw, err := content.ReadBlob(ctx, store, ocispecs.Descriptor{Digest: digest.Digest(b.Image.Digest())})
		if err == nil {
			found[b.Image] = readPacked(ctx, store, raw)
		}
	}
	return found
}

// checkPacked refuses what engines of the fleet can't use.
func checkPacked(p packed) error {
	if p.zstd {
		return failed(messages.Failure{
			Class:  messages.FailureUser,
			Reason: "the image has layers in zstd, which an engine before Docker 23 can't unpack",
			Fix:    "use a base whose layers are in gzip: push it again with compression=gzip and force-compression=true",
		})
	}
	return tooManyLayers(p.layers)
}
