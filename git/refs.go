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
// A host that lists more than a hundred thousand is cut short, and whole is false: of the rest, those that are named are asked
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
	var options []string
	if branches {
		options = append(options, "--heads")
	}
	if tags {
		options = append(options, "--tags")
	}
	lines, whole, err := w.lsRemote(ctx, withPeeled(patterns), options...)
	at := make(map[string]int, len(lines))
	for _, l := range lines {
		name, isPeeled := strings.CutSuffix(l.name, peeled)
		switch i, again := at[name]; {
		case !again:
			at[name] = len(refs)
			refs = append(refs, Ref{name, l.hash, l.hash})
		case isPeeled: // an annotated tag, whose commit this is
			refs[i].Commit = l.hash
		}
	}
	slices.SortFunc(refs, func(a, b Ref) int { return compareVersions(a.Name, b.Name) })
	return refs, whole, err
}

// What is taken in of what a host lists. More would not fit into what is kept of a repository.
const (
	listedMost  = 100_000  // branches and tags
	listedBytes = 24 << 20 // of them, annotated tags twice; a producer looks at several repositories at one time
)

// listedRef is a line of what git lists: a ref, or what an annotated tag's is of, whose name ends as peeled does.
type listedRef struct{ name, hash string }

// lsRemote has git list the refs that patterns match, in the host's own order, in which a tag's commit follows the tag.
// Where not all of them are taken in, the last has all of its lines.
func (w *way) lsRemote(ctx context.Context, patterns []string, options ...string) (lines []listedRef, whole bool, err error) {
	var out string
	err = w.follow(ctx, func() (err error) {
		args := slices.Concat([]string{"-c", "protocol.version=2", "ls-remote"}, options, []string{"--", w.address}, patterns) // whose address changes on the way
		out, _, err = w.execUpTo(ctx, listedBytes, nil, "git", args...)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	lines, whole = readListing(out, len(out) < listedBytes)
	return lines, whole, nil
}

// readListing reads what git lists, of which more would have come where it is not whole.
func readListing(out string, whole bool) (lines []listedRef, all bool) {
	if !whole {
		out = out[:strings.LastIndexByte(out, '\n')+1] // the last may be cut to another's name
	}
	refs := 0
	for line := range strings.Lines(out) {
		hash, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || messages.CheckCommit(hash) != nil {
			continue
		}
		if !strings.HasSuffix(name, peeled) {
			if refs++; refs > listedMost {
				return lines, false
			}
		}
		lines = append(lines, listedRef{name, hash})
	}
	if last := len(lines) - 1; !whole && last >= 0 && strings.HasPrefix(lines[last].name, messages.TagRefs) && !strings.HasSuffix(lines[last].name, peeled) {
		lines = lines[:last] // its commit may have been cut off
	}
	return lines, whole
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
