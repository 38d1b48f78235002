package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/packages"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// updatesTime bounds the questions to an image's package manager. They take no more than half of a build's own time.
	updatesTime = 5 * time.Minute
	// updatesMost bounds, in bytes, what is read of each stream of its output: 5,000 packages take about 1 MiB.
	updatesMost = 2 << 20
)

// Updates asks an image's package manager which packages have updates: in a container of the image, which has what a RUN step
// has and leaves nothing behind. What the manager prints is not logged.
func (s *Solver) Updates(ctx context.Context, b builder.Build, image messages.Image) (builder.Updates, error) {
	most := updatesTime
	if half := b.Pipeline.Timeout.Std() / 2; half > 0 {
		most = min(most, half)
	}
	tooLong := fmt.Errorf("the answer took longer than %v", most)
	ctx, cancel := context.WithTimeoutCause(ctx, most, tooLong)
	defer cancel()
	r, err := s.newRun(b)
	if err != nil {
		return builder.Updates{}, err
	}
	defer r.progress.close()
	updates, err := r.updates(ctx, image)
	switch {
	case err != nil && ctx.Err() != nil:
		return builder.Updates{}, context.Cause(ctx)
	case err != nil:
		return builder.Updates{}, errors.New(r.clean(err))
	}
	return updates, nil
}

// updates is Updates without its bounds.
func (r *run) updates(ctx context.Context, image messages.Image) (found builder.Updates, err error) {
	var broken error // as it is: the job's own error has less to tell
	_, err = r.call(ctx, client.SolveOpt{}, func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
		if found, broken = r.askImage(ctx, g, image); broken != nil {
			return nil, broken
		}
		return gateway.NewResult(), nil
	})
	if broken != nil {
		return builder.Updates{}, broken
	}
	return found, err
}

// askImage has the image's package manager answer.
func (r *run) askImage(ctx context.Context, g gateway.Client, image messages.Image) (builder.Updates, error) {
	root, config, err := r.root(ctx, g, image)
	if err != nil {
		return builder.Updates{}, fmt.Errorf("reading %s: %w", image, err)
	}
	manager, err := packages.Of(&imageFS{ctx: ctx, ref: root, config: config})
	if errors.Is(err, packages.ErrNone) {
		return builder.Updates{}, nil
	}
	if err != nil {
		return builder.Updates{}, err
	}
	out, errs, status, err := r.shell(ctx, g, root, config, manager.Script)
	if err != nil {
		return builder.Updates{}, fmt.Errorf("asking %s in the image: %w", manager.Name, err)
	}
	list, err := manager.Read(out, errs, status)
	return builder.Updates{Manager: manager.Name, List: list}, err
}

// root is an image's files, and its configuration.
func (r *run) root(ctx context.Context, g gateway.Client, image messages.Image) (gateway.Reference, ocispecs.ImageConfig, error) {
	var none ocispecs.ImageConfig
	platform := platforms.DefaultSpec()
	if workers := g.BuildOpts().Workers; len(workers) > 0 && len(workers[0].Platforms) > 0 {
		platform = workers[0].Platforms[0]
	}
	if p := r.build.Pipeline.Platform; p != "" {
		var err error
		if platform, err = platforms.Parse(p); err != nil {
			return nil, none, err
		}
	}
	_, _, config, err := g.ResolveImageConfig(ctx, string(image), sourceresolver.Opt{
		ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &platform},
	})
	if err != nil {
		return nil, none, err
	}
	definition, err := llb.Image(string(image), llb.Platform(platform)).Marshal(ctx)
	if err != nil {
		return nil, none, err
	}
	result, err := g.Solve(ctx, gateway.SolveRequest{Definition: definition.ToPB(), Evaluate: true})
	if err != nil {
		return nil, none, err
	}
	ref, err := result.SingleRef()
	if err == nil && ref == nil {
		err = errors.New("the image has no files")
	}
	return ref, configuration(config), err
}

// shell runs a script in a container of files, as root. It returns what it printed, and its exit status.
func (r *run) shell(ctx context.Context, g gateway.Client, root gateway.Reference, config ocispecs.ImageConfig, script string) (out, errs string, status int, err error) {
	container, err := g.NewContainer(ctx, gateway.NewContainerRequest{
		Mounts: []gateway.Mount{{Dest: "/", MountType: pb.MountType_BIND, Ref: root}},
	})
	if err != nil {
		return "", "", 0, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = container.Release(ctx) // its error is that of the script; what is left ends with the job
	}()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout, stderr := &capped{full: stop}, &capped{full: stop}
	process, err := container.Start(ctx, gateway.StartRequest{
		Args: []string{packages.Shell, "-c", script}, Env: r.environment(config), User: "0:0", Cwd: "/",
		Stdout: stdout, Stderr: stderr,
	})
	if err == nil {
		err = process.Wait()
	}
	var exit *gwpb.ExitError
	switch {
	case ctx.Err() != nil:
		return "", "", 0, context.Cause(ctx)
	case errors.As(err, &exit) && exit.ExitCode < gwpb.UnknownExitStatus:
		status = int(exit.ExitCode)
	case err != nil:
		return "", "", 0, err
	}
	return stdout.String(), stderr.String(), status, nil
}

// environment is what a script in an image has: the image's own variables, the proxies that the pipeline gives its steps, and
// words that can be read.
func (r *run) environment(config ocispecs.ImageConfig) []string {
	all := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, config.Env...)
	for name, value := range r.build.Pipeline.BuildArgs {
		switch strings.ToLower(name) {
		case "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy":
			all = append(all, name+"="+value)
		}
	}
	all = append(all, "LC_ALL=C", "LANG=C", "LANGUAGE=C", "DEBIAN_FRONTEND=noninteractive", "TERM=dumb", "COLUMNS=200")
	last := map[string]string{} // of each variable: which of two counts is up to the shell
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		last[name] = v
	}
	return slices.Sorted(maps.Values(last))
}

// capped keeps what is written to it, and ends who writes where that is too much.
type capped struct {
	bytes.Buffer
	full func(error)
}

var _ io.WriteCloser = (*capped)(nil)

func (c *capped) Write(b []byte) (int, error) {
	if c.Len()+len(b) > updatesMost {
		err := fmt.Errorf("it printed more than %d MiB", updatesMost>>20)
		c.full(err)
		return 0, err
	}
	return c.Buffer.Write(b)
}

// Close does nothing.
func (c *capped) Close() error { return nil }
