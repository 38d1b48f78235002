package buildkit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"
)

// frontend is the Dockerfile frontend that is part of buildkitd.
const frontend = "dockerfile.v0"

// product is what buildkitd's records call who asks.
const product = "fenceline"

// run is one build in progress.
type run struct {
	solver      *Solver
	build       builder.Build
	options     map[string]string // for the frontend
	attachables []session.Attachable
	locals      map[string]fsutil.FS
	progress    *progress
	context     string // folder that is the build context
	sources     sources
	added       map[string]added // by the digests of the plan's operations
	repack      bool             // a base has layers in zstd, which the image gets in gzip
}

func (s *Solver) newRun(b builder.Build) (*run, error) {
	r := &run{solver: s, build: b, options: frontendOptions(b), progress: newProgress(b.Log, newHider(b.Token, b.Secrets))}
	r.locals = make(map[string]fsutil.FS)
	if err := s.logins.Check(); err != nil {
		return nil, failed(messages.Failure{Class: messages.FailureInfrastructure, Reason: err.Error(), Fix: "correct the builder's registry logins"})
	}
	secrets := make(map[string][]byte)
	for name, v := range b.Secrets {
		secrets[name] = []byte(v.Reveal())
	}
	r.attachables = []session.Attachable{
		s.sessionLogins(),
		secretsprovider.FromMap(secrets),
	}
	return r, nil
}

// frontendOptions are what the Dockerfile frontend is told.
func frontendOptions(b builder.Build) map[string]string {
	p := b.Pipeline
	o := map[string]string{
		// With any command line of its own the frontend passes over "# syntax=", which would
		// make it fetch and run another one.
		"cmdline":  product,
		"filename": p.Dockerfile,
	}
	if p.Platform != "" {
		o["platform"] = p.Platform
	}
	if b.NoCache {
		o["no-cache"] = "" // of all stages
	}
	for k, v := range p.BuildArgs {
		o["build-arg:"+k] = v
	}
	return o
}

// do fetches, pins, builds, has the result checked, and pushes it.
func (r *run) do(ctx context.Context) (solved builder.Solved, err error) {
	defer func() {
		if removeErr := r.sources.remove(); removeErr != nil {
			r.remark("warning: what was fetched for the build can't be removed: " + removeErr.Error())
		}
	}()
	fetching, end := r.step(ctx, "fetch source")
	err = r.fetch(fetching)
	if end(err); err != nil {
		return builder.Solved{}, err
	}
	pinning, end := r.step(ctx, "pin bases")
	pins, err := r.pin(pinning)
	if end(err); err != nil {
		return builder.Solved{}, err
	}
	if r.build.Resolved != nil {
		if err := r.build.Resolved(ctx, pins.bases); err != nil {
			return builder.Solved{}, err
		}
	}
	bases := r.solver.basesPacked(ctx, pins.bases)
	if err := r.countLayers(pins.plan, bases); err != nil {
		// Who follows the bases hears of them all the same: with another one it may build.
		if late := r.build.Pinned(ctx, nil, pins.bases); late != nil {
			return builder.Solved{}, late
		}
		return builder.Solved{}, err
	}
	usable, repacked := r.usable(pins.bases, bases)
	if err := r.build.Pinned(ctx, usable, repacked); err != nil {
		return builder.Solved{}, err
	}
	solving, end := r.step(ctx, "solve")
	response, err := r.solve(solving, pins)
	if end(err); err != nil {
		return builder.Solved{}, err
	}
	image, err := messages.NewImage(r.build.Pipeline.Image, response[exptypes.ExporterImageDigestKey])
	if err != nil {
		return builder.Solved{}, fmt.Errorf("naming what was pushed: %w", err)
	}
	p := r.solver.pushed(ctx, image, response)
	if err := checkPacked(p); err != nil {
		return builder.Solved{}, err
	}
	return builder.Solved{Image: image, Bases: pins.bases, Bytes: p.bytes}, nil
}

// step begins the span of a step, and returns how it is ended: with an error from which secrets are taken out.
func (r *run) step(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, span := tracing.Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			err = errors.New(r.clean(err))
		}
		span.End(err)
	}
}

// usable parts the bases from those that are repacked: the image won't have their layers as they are, so
// that nodes need not fetch them ahead, nor fail to.
func (r *run) usable(bases []messages.PinnedBase, packed map[messages.Image]packed) (as, repacked []messages.PinnedBase) {
	for _, b := range bases {
		if !packed[b.Image].zstd {
			as = append(as, b)
			continue
		}
		r.repack, repacked = true, append(repacked, b)
		r.remark(fmt.Sprintf("warning: the base %s has layers in zstd, which an engine before Docker 23 can't unpack: they are packed anew, in gzip", b.Source))
	}
	return as, repacked
}

// gzipLevel is the level of new layers: the fastest. A Debian base packs in a third of the time
// of the default level, 6, into 31 MB in place of 27; the waiting for that is in every rollout.
const gzipLevel = "1"

// solving is how far building and pushing came.
type solving struct {
	response map[string]string // of the exporter
	broken   error             // the frontend's or a step's
	refused  error             // what Check said
	checked  bool
}

// solve builds and pushes, and returns what the exporter says of it.
func (r *run) solve(ctx context.Context, p *pins) (map[string]string, error) {
	s, err := r.attempt(ctx, p)
	switch {
	case s.refused != nil:
		return nil, r.refused(s.refused)
	case s.broken != nil:
		return nil, r.explain(ctx, err, false)
	case err != nil && s.checked:
		return nil, r.unpushed(ctx, err)
	case err != nil:
		return nil, r.lost(err)
	}
	return s.response, nil
}

// attempt builds and pushes. Its error is the frontend's or a step's, if one failed.
func (r *run) attempt(ctx context.Context, p *pins) (s solving, err error) {
	attrs := map[string]string{
		"name": r.build.Pipeline.Image, "push": "true", "push-by-digest": "true",
		"oci-mediatypes": "true", "compression": "gzip", "compression-level": gzipLevel,
	}
	if r.repack {
		attrs["force-compression"] = "true" // layers in gzip stay as they are
	}
	pushed := func(error) {}
	response, err := r.call(ctx, client.SolveOpt{
		SourcePolicy: p.policy(r.added), Exports: []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}},
	}, func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
		q := r.request(nil)
		q.Evaluate = true
		result, err := r.solveClean(ctx, g, q, p.plan)
		if err != nil {
			s.broken = err
			return nil, err
		}
		err = result.EachRef(func(ref gateway.Reference) error {
			return r.build.Check(ctx, &imageFS{ctx: ctx, ref: ref, config: configuration(result.Metadata[exptypes.ExporterImageConfigKey])})
		})
		if err != nil {
			s.refused = err
			return nil, err
		}
		s.checked = true
		_, pushed = r.step(ctx, "push")
		return result, nil
	})
	pushed(err)
	switch {
	case s.broken != nil:
		return s, s.broken
	case err != nil:
		return s, err
	}
	s.response = response.ExporterResponse
	return s, nil
}

// solveClean has the frontend build, and looks at the same time for pointers of Git LFS in what is built
// from. A build that takes one fails for that, whatever else comes of it.
func (r *run) solveClean(ctx context.Context, g gateway.Client, q gateway.SolveRequest, p *plan) (*gateway.Result, error) {
	building, cancel := context.WithCancel(ctx)
	defer cancel()
	looked := make(chan error, 1)
	refuses := func(err error) bool { return errors.As(err, new(*builder.FailedError)) }
	go func() {
		err := r.pointers(ctx, g, p)
		if refuses(err) {
			cancel()
		}
		looked <- err
	}()
	result, err := g.Solve(building, q)
	switch found := <-looked; {
	case refuses(found):
		return nil, found
	case err != nil:
		return nil, err
	case found != nil:
		return nil, found
	}
	return result, nil
}

// call runs fn in a BuildKit job of its own, and follows its progress.
func (r *run) call(ctx context.Context, o client.SolveOpt, fn gateway.BuildFunc) (*client.SolveResponse, error) {
	o.Session, o.LocalMounts = r.attachables, r.locals
	o.FrontendAttrs = map[string]string{}
	status := make(chan *client.SolveStatus)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		r.progress.follow(status)
	}()
	response, err := r.solver.client.Build(ctx, o, product, fn, status)
	<-followed
	return response, err
}

// remark tells people something about the build.
func (r *run) remark(text string) { r.progress.say(messages.BuildLog{Text: text}) }

// clean is an error's text as people are shown it.
func (r *run) clean(err error) string { return messages.ShortenMiddle(r.text(err), 2000) }

// text takes secrets and BuildKit's wrapping out of an error's text.
func (r *run) text(err error) string {
	text := r.progress.hide(err.Error())
	for _, wrap := range []string{"failed to solve: ", "failed to run Build function: ", "rpc error: code = Unknown desc = "} {
		text = strings.ReplaceAll(text, wrap, "")
	}
	return text
}
