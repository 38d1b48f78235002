package buildkit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/fenceline/fenceline/messages"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
	digest "github.com/opencontainers/go-digest"
)

// Git LFS keeps a file's content elsewhere and commits a pointer in its place, a few lines of text.
// BuildKit doesn't fetch the content: the pointer would get into the image, and break what reads it there.
// So a build that takes a pointer from any of its sources is refused.

// taken is something that a step takes from a source: a file, or a folder with all below.
type taken struct {
	step     string   // digest of the step
	from     string   // digest of the source
	path     string   // in the source, with wildcards perhaps
	includes []string // patterns below path; none for all
	excludes []string
	ignored  []string // patterns in the source
}

// taken lists what the steps take from repositories, uploaded contexts and downloads.
func (p *plan) taken() []taken {
	var all []taken
	source := func(digest string) bool {
		id := p.ops[digest].GetSource().GetIdentifier()
		return id != "" && !strings.HasPrefix(id, imageScheme)
	}
	// ignored are the patterns of a .dockerignore, which go with an uploaded context.
	ignored := func(digest string) (patterns []string) {
		_ = json.Unmarshal([]byte(p.ops[digest].GetSource().GetAttrs()[pb.AttrExcludePatterns]), &patterns) // none where there are none
		return patterns
	}
	for step, op := range p.ops {
		input := func(i int64) string {
			if i < 0 || i >= int64(len(op.GetInputs())) {
				return ""
			}
			return op.GetInputs()[i].GetDigest()
		}
		for _, a := range op.GetFile().GetActions() {
			if c := a.GetCopy(); c != nil && source(input(a.GetSecondaryInput())) {
				from := input(a.GetSecondaryInput())
				all = append(all, taken{step, from, c.GetSrc(), c.GetIncludePatterns(), c.GetExcludePatterns(), ignored(from)})
			}
		}
		for _, m := range op.GetExec().GetMounts() {
			if source(input(m.GetInput())) {
				from := input(m.GetInput())
				all = append(all, taken{step: step, from: from, path: m.GetSelector(), ignored: ignored(from)})
			}
		}
	}
	slices.SortFunc(all, func(a, b taken) int { return strings.Compare(a.from+a.path+a.step, b.from+b.path+b.step) })
	return all
}

// definition is an operation with all that it needs, to be solved by itself.
func (p *plan) definition(of string) (*pb.Definition, error) {
	d := &pb.Definition{Metadata: make(map[string]*pb.OpMetadata)}
	seen := make(map[string]string) // digests in the plan, and those of the operations as they are written here
	var add func(of string) (string, error)
	add = func(of string) (string, error) {
		if written, ok := seen[of]; ok {
			return written, nil
		}
		op := p.ops[of].CloneVT()
		if op == nil {
			return "", fmt.Errorf("operation %s is not in the plan", of)
		}
		for _, in := range op.GetInputs() {
			written, err := add(in.GetDigest())
			if err != nil {
				return "", err
			}
			in.Digest = written
		}
		raw, err := op.Marshal()
		if err != nil {
			return "", fmt.Errorf("operation %s: %w", of, err)
		}
		seen[of] = digest.FromBytes(raw).String()
		d.Def = append(d.Def, raw)
		if about, ok := p.about[of]; ok {
			d.Metadata[seen[of]] = about.ToPB()
		}
		return seen[of], nil
	}
	last, err := add(of)
	if err != nil {
		return nil, err
	}
	raw, err := (&pb.Op{Inputs: []*pb.Input{{Digest: last}}}).Marshal()
	if err != nil {
		return nil, err
	}
	d.Def = append(d.Def, raw)
	return d, nil
}

// pointers refuses a build that takes a pointer of Git LFS from its sources.
func (r *run) pointers(ctx context.Context, g gateway.Client, p *plan) error {
	var found []string
	var first taken
	trees := make(map[string]fs.FS)
	for _, t := range p.taken() {
		tree, ok := trees[t.from]
		if !ok {
			var err error
			if tree, err = r.tree(ctx, g, p, t.from); err != nil {
				return err
			}
			trees[t.from] = tree
		}
		names, err := t.pointers(ctx, tree)
		if err != nil {
			return err
		}
		for _, name := range names {
			if len(found) == 0 {
				first = t
			}
			if !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	f := messages.Failure{Class: messages.FailureUser, Reason: fmt.Sprintf("%q is a pointer of Git LFS, not the file itself: builds don't fetch from Git LFS", found[0])}
	if len(found) > 1 {
		f.Reason += fmt.Sprintf(" (and %d more)", len(found)-1)
	}
	f.Place, _ = p.place(first.step)
	f.Fix = "commit the file itself (git lfs untrack, then git add it again), have ADD fetch it by its address and checksum, or name it in .dockerignore if the image doesn't need it"
	if r.build.Context != "" {
		f.Fix = "run git lfs pull before submitting, or name it in .dockerignore if the image doesn't need it"
	}
	return failed(f)
}

// tree is a source's files.
func (r *run) tree(ctx context.Context, g gateway.Client, p *plan, from string) (fs.FS, error) {
	if strings.HasPrefix(p.ops[from].GetSource().GetIdentifier(), "local://") {
		return os.DirFS(r.context), nil
	}
	if a := r.added[from]; a.dir != "" {
		return os.DirFS(a.dir), nil
	}
	d, err := p.definition(from)
	if err != nil {
		return nil, fmt.Errorf("looking for pointers of Git LFS: %w", err)
	}
	result, err := g.Solve(ctx, gateway.SolveRequest{Definition: d, Evaluate: true})
	if err != nil {
		return nil, err
	}
	ref, err := result.SingleRef()
	if err != nil {
		return nil, err
	}
	return &imageFS{ctx: ctx, ref: ref}, nil
}

// pointers lists the pointers among what is taken. What isn't there is for the step to tell.
func (t *taken) pointers(ctx context.Context, tree fs.FS) ([]string, error) {
	matches, err := t.matcher()
	if err != nil {
		return nil, nil //nolint:nilerr // the step fails for a pattern that is none
	}
	var found []string
	err = fs.WalkDir(tree, fixed(t.path), func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return nil
		case err != nil:
			return err
		case !e.Type().IsRegular() || !matches(name):
			return nil
		}
		info, err := e.Info()
		if err != nil || info.Size() < minPointer || info.Size() > maxPointer {
			return nil //nolint:nilerr // gone, or no pointer
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if isPointer(text) {
			found = append(found, name)
		}
		return nil
	})
	return found, err
}

// fixed is the part of a path before its first wildcard, as a name of fs.FS.
func fixed(pattern string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+pattern), "/"), "/") {
		if strings.ContainsAny(part, `*?[\`) {
			break
		}
		parts = append(parts, part)
	}
	return cmp.Or(strings.Join(parts, "/"), ".")
}

// matcher tells which files below the fixed part of the path are taken.
func (t *taken) matcher() (func(name string) bool, error) {
	pattern := strings.Trim(path.Clean("/"+t.path), "/")
	parts := strings.Split(pattern, "/")
	if pattern == "" {
		parts = nil
	}
	includes, err := patternmatcher.New(t.includes)
	if err != nil {
		return nil, err
	}
	excludes, err := patternmatcher.New(t.excludes)
	if err != nil {
		return nil, err
	}
	ignored, err := patternmatcher.New(t.ignored)
	if err != nil {
		return nil, err
	}
	return func(name string) bool {
		if ok, err := ignored.MatchesOrParentMatches(name); err == nil && ok {
			return false
		}
		has := strings.Split(name, "/")
		if len(has) < len(parts) {
			return false
		}
		for i, part := range parts {
			if ok, err := path.Match(part, has[i]); part != has[i] && (err != nil || !ok) {
				return false
			}
		}
		below := cmp.Or(strings.Join(has[len(parts):], "/"), ".")
		if len(t.includes) > 0 {
			if ok, err := includes.MatchesOrParentMatches(below); err == nil && !ok {
				return false
			}
		}
		if ok, err := excludes.MatchesOrParentMatches(below); err == nil && ok {
			return false
		}
		return true
	}, nil
}

// The size of a pointer, in bytes: the least that its lines come to, and what Git LFS allows.
const minPointer, maxPointer = 100, 1024

// isPointer tells a pointer by its first line, of Git LFS or of what it was called at first, and by the
// line that names the content. https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
func isPointer(text []byte) bool {
	version, rest, _ := bytes.Cut(text, []byte("\n"))
	switch strings.TrimRight(string(version), "\r") {
	case "version https://git-lfs.github.com/spec/v1", "version https://hawser.github.com/spec/v1", "version http://git-media.io/v/2":
		return bytes.Contains(rest, []byte("oid sha256:"))
	}
	return false
}
