package git

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Listing says which branches and tags of a remote to list.
type Listing struct {
	Branches, Tags bool     // all of them
	Named          []string // and these, by their full names
}

// Ref is a branch or a tag, by its full name, the commit that it has, and the object that it names: the same, or that of an
// annotated tag.
type Ref struct{ Name, Commit, Object string }

// Refs lists branches and tags of a remote, with the numbers in their names in order; its own branch and tag don't matter.
// A host that lists more than some ten thousand is cut short, and whole is false: of the rest, those that are named are asked
// for by themselves. It asks by version 2 of git's protocol where the host has that, for branches and tags alone. Errors are
// those of Head but ErrNoBranch.
func Refs(ctx context.Context, r Remote, l Listing) (refs []Ref, whole bool, err error) {
	if err := messages.CheckRepository(r.URL); err != nil {
		return nil, false, fmt.Errorf("listing branches and tags: repository: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	w, err := r.open(bounded)
	if err == nil {
		refs, whole, err = w.refs(bounded, l)
	}
	if err == nil {
		return refs, whole, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, false, fmt.Errorf("listing branches and tags of %s: %w", r.URL, err)
}

func (w *way) refs(ctx context.Context, l Listing) (refs []Ref, whole bool, err error) {
	whole = true
	if l.Branches || l.Tags {
		if refs, whole, err = w.listed(ctx, l.Branches, l.Tags); err != nil {
			return nil, false, err
		}
	}
	known := map[string]bool{}
	for _, ref := range refs {
		known[ref.Name] = true
	}
	var rest []string
	for _, name := range l.Named {
		branch, isBranch := strings.CutPrefix(name, messages.BranchRefs)
		tag, isTag := strings.CutPrefix(name, messages.TagRefs)
		if isBranch && l.Branches && whole || isTag && l.Tags && whole || known[name] || isBranch == isTag || messages.CheckBranch(branch) != nil && messages.CheckBranch(tag) != nil {
			continue
		}
		known[name] = true
		rest = append(rest, name)
	}
	for batch := range slices.Chunk(rest, 100) {
		more, _, err := w.listed(ctx, true, true, batch...)
		if err != nil {
			return nil, false, err
		}
		refs = append(refs, slices.DeleteFunc(more, func(ref Ref) bool { return !slices.Contains(batch, ref.Name) })...)
	}
	if len(refs) == 0 {
		return nil, whole, w.answers(ctx)
	}
	return refs, whole, nil
}

// listed asks for the branches and tags, all or those whose names end as patterns do.
func (w *way) listed(ctx context.Context, branches, tags bool, patterns ...string) (refs []Ref, whole bool, err error) {
	args := []string{"-c", "protocol.version=2", "ls-remote", "--sort=version:refname"}
	if branches {
		args = append(args, "--heads")
	}
	if tags {
		args = append(args, "--tags")
	}
	var out string
	err = w.follow(ctx, func() (err error) {
		out, _, err = w.run(ctx, nil, append(append(args, "--", w.address), withPeeled(patterns)...)...)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if whole = len(out) < maxOutput; !whole {
		out = out[:strings.LastIndexByte(out, '\n')+1] // the last may be cut to another's name
	}
	at := map[string]int{}
	for line := range strings.Lines(out) {
		hash, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || messages.CheckCommit(hash) != nil {
			continue
		}
		name, isPeeled := strings.CutSuffix(name, peeled)
		switch i, again := at[name]; {
		case !again:
			at[name] = len(refs)
			refs = append(refs, Ref{name, hash, hash})
		case isPeeled: // an annotated tag, whose commit this is
			refs[i].Commit = hash
		}
	}
	return refs, whole, nil
}

// withPeeled adds to the names of tags that of the commits of annotated ones.
func withPeeled(names []string) []string {
	out := slices.Clone(names)
	for _, n := range names {
		if strings.HasPrefix(n, messages.TagRefs) {
			out = append(out, n+peeled)
		}
	}
	return out
}
