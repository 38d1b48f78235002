package git

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
)

// Timeout bounds one look-up, whatever its context allows.
const Timeout = 30 * time.Second

// Remote is a branch or a tag of a remote repository.
type Remote struct {
	URL    string          // as messages.CheckRepository allows it
	Branch string          // as messages.CheckBranch allows it
	Tag    string          // in place of the branch, or ""
	Token  messages.Secret // password for http and https, or the zero value for none
	Rules  *reach.Rules    // what may be reached; nil for those that are the zero value
	By     reach.By        // who named it
}

// Head returns the commit at the head of the remote's branch, or that of its tag. It ends with its context, or
// after Timeout. Errors wrap ErrUnreachable, ErrDenied, ErrNoRepository, ErrNotAllowed or ErrNoBranch,
// which is ErrNoTag of a tag; an invalid remote and the end of ctx have errors of their own.
func Head(ctx context.Context, r Remote) (commit string, err error) {
	commit, _, err = TagHead(ctx, r)
	return commit, err
}

// TagHead is Head, and returns what the ref itself names, too: for an annotated tag that is the tag's own object, which
// some forges tell of in place of the commit.
func TagHead(ctx context.Context, r Remote) (commit, object string, err error) {
	what, name := "branch", r.Branch
	if r.Tag != "" {
		what, name = "tag", r.Tag
	}
	if err := messages.CheckRepository(r.URL); err != nil {
		return "", "", fmt.Errorf("looking up a %s: repository: %w", what, err)
	}
	if err := messages.CheckBranch(name); err != nil {
		return "", "", fmt.Errorf("looking up a %s of %s: %s: %w", what, r.URL, what, err)
	}
	bounded, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	w, err := r.open(bounded)
	var refs map[string]string
	if err == nil {
		refs, _, err = w.list(bounded, r.ref(), r.ref()+peeled)
	}
	if object = refs[r.ref()]; err == nil && object != "" {
		return cmp.Or(refs[r.ref()+peeled], object), object, nil
	}
	if err == nil {
		err = w.answers(bounded)
	}
	if err == nil {
		err = fmt.Errorf("%w: push it, or correct the pipeline's branch", ErrNoBranch)
		if r.Tag != "" {
			err = fmt.Errorf("%w: push it, or correct its name", ErrNoTag)
		}
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return "", "", fmt.Errorf("looking up %s %s of %s: %w", what, name, r.URL, err)
}

// peeled follows a tag's ref in what git lists, for the commit that an annotated one is of.
const peeled = "^{}"

func (r Remote) ref() string {
	if r.Tag != "" {
		return messages.TagRefs + r.Tag
	}
	return messages.BranchRefs + r.Branch
}

// list asks for the refs that patterns match, and returns what each names, and whether these are all. A pattern matches
// the end of a ref, so other refs may be among them.
func (w *way) list(ctx context.Context, patterns ...string) (refs map[string]string, whole bool, err error) {
	lines, whole, err := w.lsRemote(ctx, patterns)
	refs = make(map[string]string, len(lines))
	for _, l := range lines {
		refs[l.name] = l.hash
	}
	return refs, whole, err
}

// Find returns the commit that a ref names: a branch, a tag, a full ref, or "" for the remote's own branch. The remote's
// branch and tag don't matter. Errors are those of Head.
func Find(ctx context.Context, r Remote, ref string) (string, error) {
	name := cmp.Or(ref, "HEAD")
	commit, err := r.find(ctx, name)
	if err != nil {
		return "", fmt.Errorf("looking up %s of %s: %w", name, r.URL, err)
	}
	return commit, nil
}

func (r Remote) find(ctx context.Context, name string) (string, error) {
	if err := messages.CheckBranch(name); err != nil {
		return "", err
	}
	bounded, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	w, err := r.open(bounded)
	if err != nil {
		return "", err
	}
	refs, whole, err := w.list(bounded, name, name+peeled)
	if err != nil {
		return "", err
	}
	for _, full := range []string{name, "refs/" + name, messages.BranchRefs + name, messages.TagRefs + name} {
		if commit := cmp.Or(refs[full+peeled], refs[full]); commit != "" {
			return commit, nil
		}
	}
	if !whole {
		return "", fmt.Errorf("%w: more than %d branches and tags end in this name: write it in full, as %s%s", ErrNoBranch, listedMost, messages.BranchRefs, name)
	}
	return "", fmt.Errorf("%w, nor tag", ErrNoBranch)
}

// answers tells whether the host speaks git's protocol, or else lists a branch or tag as a plain
// web server with a repository does. It is asked where no branch was listed: an empty answer, or a page
// of one line, lists none either, and git is content with it.
func (w *way) answers(ctx context.Context) error {
	out, trace, err := w.run(ctx, []string{"GIT_TRACE_PACKET=2"}, "ls-remote", "--", w.address)
	if err != nil {
		return err
	}
	if strings.Contains(trace, "packet: ") || strings.Contains(out, "\trefs/") {
		return nil
	}
	return w.strange("it lists nothing at all")
}
