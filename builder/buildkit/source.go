package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
)

// The files of a repository are fetched here and sent to buildkitd as an uploaded context is: buildkitd's own git would
// follow any redirect, ask its own resolver, and clone whatever submodules a commit names.

// sources are the folders of the repositories that a build is made from.
type sources struct {
	folder *builder.Folder
	n      int
}

// fetch has the build context on this machine.
func (r *run) fetch(ctx context.Context) error {
	dir := r.build.Context
	if dir == "" {
		files, err := r.checkout(ctx, r.remote(), r.build.Commit, r.build.Pipeline.Submodules)
		if err != nil {
			return r.unfetched(err)
		}
		if dir, err = inside(files, r.build.Pipeline.Directory); err != nil {
			return failed(messages.Failure{
				Class: messages.FailureUser, Reason: fmt.Sprintf("the commit %s has no folder %q", r.build.Commit, r.build.Pipeline.Directory),
				Fix: "correct the pipeline's directory",
			})
		}
		r.remark(fmt.Sprintf("[internal] fetched %s of %s", r.build.Commit, r.build.Pipeline.Repository))
	}
	r.context = dir
	if err := r.ignores(dir); err != nil {
		return err
	}
	return r.mount(dir, "context", "dockerfile")
}

// ignores refuses a .dockerignore that can't be read: the Dockerfile's own, or else the context's. BuildKit doesn't say which file it is about.
func (r *run) ignores(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("reading the build context: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, name := range []string{r.build.Pipeline.Dockerfile + ".dockerignore", ".dockerignore"} {
		name = path.Clean(name)
		text, err := root.ReadFile(filepath.FromSlash(name))
		if err != nil {
			continue // there is none, or BuildKit tells
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
		if err == nil {
			_, err = patternmatcher.New(patterns)
		}
		if err != nil {
			return failed(messages.Failure{
				Class: messages.FailureUser, Place: name, Reason: "it can't be read: " + r.clean(err), Fix: "correct this pattern",
			})
		}
		return nil
	}
	return nil
}

// remote is the pipeline's own repository.
func (r *run) remote() git.Remote {
	return git.Remote{URL: r.build.Pipeline.Repository, Token: r.build.Token, Rules: r.solver.config.Rules}
}

// mount gives buildkitd a folder by names.
func (r *run) mount(dir string, names ...string) error {
	local, err := fsutil.NewFS(dir)
	if err != nil {
		return fmt.Errorf("reading the build context: %w", err)
	}
	for _, name := range names {
		r.locals[name] = local
	}
	return nil
}

// checkout fetches a commit into a folder of this build's.
func (r *run) checkout(ctx context.Context, remote git.Remote, commit string, policy messages.Submodules) (string, error) {
	if r.sources.folder == nil {
		folder, err := builder.NewFolder(ctx)
		if err != nil {
			return "", fmt.Errorf("making a folder for the build context: %w", err)
		}
		r.sources.folder = folder
	}
	r.sources.n++
	work := filepath.Join(r.sources.folder.Path, fmt.Sprint(r.sources.n))
	if err := os.Mkdir(work, 0o755); err != nil {
		return "", fmt.Errorf("making a folder for the build context: %w", err)
	}
	return git.Checkout(ctx, remote, commit, work, policy)
}

// remove removes what was fetched.
func (s *sources) remove() error {
	if s.folder == nil {
		return nil
	}
	return s.folder.Remove()
}

// inside is a folder of files, to which no link leads.
func inside(files, directory string) (string, error) {
	root, err := os.OpenRoot(files)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	at := "."
	for part := range strings.SplitSeq(path.Clean("./"+directory), "/") {
		at = path.Join(at, part)
		info, err := root.Lstat(filepath.FromSlash(at))
		if err != nil {
			return "", err
		}
		if !info.IsDir() {
			return "", fmt.Errorf("%s is no folder", at)
		}
	}
	return filepath.Join(files, filepath.FromSlash(at)), nil
}

// unfetched says whose fault it is that the pipeline's repository was not fetched.
func (r *run) unfetched(err error) error {
	f := messages.Failure{Class: messages.FailureUser, Reason: r.clean(err)}
	var sub *git.SubmoduleError
	switch {
	case errors.As(err, &sub):
		return r.unfetchedSubmodule(sub, r.build.Pipeline.Repository)
	case errors.Is(err, git.ErrNoCommit):
		f.Reason = fmt.Sprintf("the repository no longer has the commit %s", r.build.Commit)
		f.Fix = "push it again, or ask for a commit that is there"
	case errors.Is(err, git.ErrDenied):
		f.Reason = "the repository wants a credential, or refuses the one it was given: " + f.Reason
		f.Fix = "name a token that may read it in the pipeline's repository_token"
	case errors.Is(err, git.ErrNoRepository):
		f.Reason, f.Fix = "there is no such repository: "+f.Reason, "correct the pipeline's repository"
	case errors.Is(err, git.ErrNotAllowed):
		f.Fix = "correct the pipeline's repository, or the builder's settings of what may be reached"
	case tooLarge(err):
		f.Fix = "leave out what the build doesn't need"
	default:
		f.Class, f.Reason, f.Fix = messages.FailureInfrastructure, "the repository can't be read: "+f.Reason, "check the address and that its host is up"
	}
	return failed(f)
}

func tooLarge(err error) bool { return errors.As(err, new(*git.TooLargeError)) }

// unfetchedSubmodule is the same of a submodule of a repository.
func (r *run) unfetchedSubmodule(sub *git.SubmoduleError, of string) error {
	what := fmt.Sprintf("the submodule %q", messages.Shorten(sub.Path, 300))
	if sub.URL != "" {
		what += " (" + messages.Shorten(sub.URL, 300) + ")"
	}
	if of != r.build.Pipeline.Repository {
		what += " of " + of
	}
	said := r.clean(sub.Err)
	f := messages.Failure{Class: messages.FailureUser, Place: sub.Place, Fix: sub.Fix}
	fix := "correct its address in .gitmodules, and commit that"
	switch {
	case errors.Is(sub.Err, git.ErrNoCommit):
		f.Reason = fmt.Sprintf("%s does not have the commit that the repository names: %s", what, said)
		fix = "push that commit to the submodule's repository, or commit one that is there"
	case errors.Is(sub.Err, git.ErrDenied):
		f.Reason = fmt.Sprintf("%s wants a credential, or refuses the one it was given: %s", what, said)
		fix = "let it be read without one, or put what the build needs into the repository itself"
	case errors.Is(sub.Err, git.ErrNoRepository):
		f.Reason = fmt.Sprintf("%s can't be found: %s", what, said)
	case errors.Is(sub.Err, git.ErrUnreachable):
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("%s can't be read: %s", what, said)
		fix = "check its address in .gitmodules and that its host is up"
	case tooLarge(sub.Err):
		f.Reason, fix = said, "leave out what the build doesn't need"
	default:
		f.Reason = fmt.Sprintf("%s: %s", what, said)
	}
	if f.Fix == "" {
		f.Fix = fix
	}
	return failed(f)
}
