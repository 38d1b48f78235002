package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// source is the build context of a build from a repository. BuildKit's frontend takes a repository
// whole, and heeds a .dockerignore in uploaded contexts alone; here it counts in both.
type source struct {
	looked     bool
	whole      *pb.Definition // the commit's files, with the Dockerfile
	filtered   *pb.Definition // without what is ignored; nil where nothing is
	filteredAs string         // digest of filtered's last operation
}

// repository is what BuildKit's git source reads for a build: the frontend's own words, so that
// both are one step.
func (r *run) repository() llb.State {
	p := r.build.Pipeline
	options := []llb.GitOption{llb.GitRef(r.build.Commit), llb.WithCustomName("[internal] load git source " + r.options["context"])}
	if p.Directory != "" {
		options = append(options, llb.GitSubDir(p.Directory))
	}
	return llb.Git(p.Repository, "", options...)
}

// request makes a question to the frontend, with the build's context.
func (r *run) request(ctx context.Context, g gateway.Client, more map[string]string) (gateway.SolveRequest, error) {
	q := gateway.SolveRequest{Frontend: frontend, FrontendOpt: maps.Clone(r.options)}
	maps.Copy(q.FrontendOpt, more)
	if r.build.Context != "" {
		return q, nil
	}
	if err := r.look(ctx, g); err != nil {
		return q, err
	}
	if r.source.filtered != nil {
		delete(q.FrontendOpt, "context")
		q.FrontendInputs = map[string]*pb.Definition{"context": r.source.filtered, "dockerfile": r.source.whole}
	}
	return q, nil
}

// look reads once what the repository's .dockerignore names.
func (r *run) look(ctx context.Context, g gateway.Client) error {
	if r.source.looked {
		return nil
	}
	repository := r.repository()
	whole, err := repository.Marshal(ctx)
	if err != nil {
		return fmt.Errorf("describing the repository to BuildKit: %w", err)
	}
	s := source{looked: true, whole: whole.ToPB()}
	result, err := g.Solve(ctx, gateway.SolveRequest{Definition: s.whole})
	if err != nil {
		return err
	}
	ref, err := result.SingleRef()
	if err != nil {
		return err
	}
	ignored, err := r.ignored(&imageFS{ctx: ctx, ref: ref})
	if err != nil {
		return err
	}
	if len(ignored) > 0 {
		filtered, err := llb.Scratch().File(
			llb.Copy(repository, "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true, ExcludePatterns: ignored}),
			llb.WithCustomName("[internal] leave out what is ignored"),
		).Marshal(ctx)
		if err != nil {
			return fmt.Errorf("describing the build context to BuildKit: %w", err)
		}
		head, err := filtered.Head()
		if err != nil {
			return fmt.Errorf("describing the build context to BuildKit: %w", err)
		}
		s.filtered, s.filteredAs = filtered.ToPB(), head.String()
	}
	r.source = s
	return nil
}

// ignored reads the patterns of the file that counts: the Dockerfile's own, or else the context's.
func (r *run) ignored(files *imageFS) ([]string, error) {
	for _, name := range []string{r.build.Pipeline.Dockerfile + ".dockerignore", ".dockerignore"} {
		text, err := files.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
		if err == nil {
			_, err = patternmatcher.New(patterns)
		}
		if err != nil {
			return nil, failed(messages.Failure{
				Class: messages.FailureUser, Place: name,
				Reason: "it can't be read: " + r.clean(err), Fix: "correct this pattern",
			})
		}
		return patterns, nil
	}
	return nil, nil
}
