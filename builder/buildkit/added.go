package buildkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
	"github.com/moby/buildkit/solver/pb"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
)

// What a Dockerfile adds from elsewhere is named by whoever can commit. Repositories are fetched here, as the pipeline's
// own is, and BuildKit is told to take the folder in their place. Downloads are asked for once here, redirects and all, before
// buildkitd fetches them by itself.

// added is a repository that the Dockerfile adds.
type added struct {
	dir  string // what is taken; "" where buildkitd has to clone it for its git folder
	rule *spb.Rule
}

// add has at hand what the plan adds from elsewhere, by the digests of its operations.
func (r *run) add(ctx context.Context, p *plan) (map[string]added, error) {
	found := map[string]added{}
	for _, digest := range p.ordered() {
		source := p.ops[digest].GetSource()
		id := source.GetIdentifier()
		var err error
		switch {
		case strings.HasPrefix(id, gitScheme) && bySSH(source):
			err = errSSH
		case strings.HasPrefix(id, gitScheme):
			found[digest], err = r.addRepository(ctx, source)
		case strings.HasPrefix(id, "http://"), strings.HasPrefix(id, "https://"):
			err = r.mayDownload(ctx, id)
		}
		if err != nil {
			return nil, r.unadded(ctx, err, p.usedAt(digest), messages.ShortenMiddle(address(source), 300))
		}
	}
	return found, nil
}

// bySSH tells whether a repository would be read by ssh.
func bySSH(s *pb.SourceOp) bool {
	return s.GetAttrs()[pb.AttrMountSSHSock] != "" || strings.HasPrefix(address(s), "ssh://") || !strings.Contains(address(s), "://")
}

// usedAt is where in the Dockerfile a source is used first, or "".
func (p *plan) usedAt(digest string) string {
	for _, user := range p.ordered() {
		takes := slices.ContainsFunc(p.ops[user].GetInputs(), func(in *pb.Input) bool { return in.GetDigest() == digest })
		if place, ok := p.place(user); ok && takes {
			return place
		}
	}
	place, _ := p.place(digest)
	return place
}

// ordered are the plan's operations in an order that is always the same.
func (p *plan) ordered() []string {
	digests := make([]string, 0, len(p.ops))
	for digest := range p.ops {
		digests = append(digests, digest)
	}
	slices.SortFunc(digests, func(a, b string) int {
		placeA, _ := p.place(a)
		placeB, _ := p.place(b)
		return strings.Compare(placeA+a, placeB+b)
	})
	return digests
}

// address is where a source is fetched from.
func address(s *pb.SourceOp) string {
	if full := s.GetAttrs()[pb.AttrFullRemoteURL]; full != "" {
		return full
	}
	before, _, _ := strings.Cut(s.GetIdentifier(), "#")
	return before
}

// addRepository fetches a repository that the Dockerfile adds.
func (r *run) addRepository(ctx context.Context, s *pb.SourceOp) (added, error) {
	remote := r.remote()
	if remote.URL = address(s); !r.own(remote.URL) {
		remote.By, remote.Token = reach.Stranger, messages.Secret{}
	}
	_, fragment, _ := strings.Cut(s.GetIdentifier(), "#")
	ref, directory, _ := strings.Cut(fragment, ":")
	attrs := s.GetAttrs()
	commit := ref
	if messages.CheckCommit(ref) != nil {
		var err error
		if commit, err = git.Find(ctx, remote, ref); err != nil {
			return added{}, err
		}
	}
	if sum := attrs[pb.AttrGitChecksum]; !strings.HasPrefix(commit, sum) {
		return added{}, fmt.Errorf("%w: it is at %s, not at %s as the Dockerfile wants", git.ErrNoCommit, commit, sum)
	}
	policy := r.build.Pipeline.Submodules
	if attrs[pb.AttrGitSkipSubmodules] == "true" {
		policy = messages.SubmodulesNone
	}
	files, err := r.checkout(ctx, remote, commit, policy)
	if err != nil {
		return added{}, err
	}
	rule := &spb.Rule{Action: spb.PolicyAction_CONVERT, Selector: &spb.Selector{Identifier: s.GetIdentifier(), MatchType: spb.MatchType_EXACT}}
	for _, key := range []string{pb.AttrFullRemoteURL, pb.AttrKeepGitDir, pb.AttrGitChecksum, pb.AttrGitSkipSubmodules} {
		rule.Selector.Constraints = append(rule.Selector.Constraints, &spb.AttrConstraint{Key: key, Value: attrs[key], Condition: spb.AttrMatch_EQUAL})
	}
	if attrs[pb.AttrKeepGitDir] == "true" {
		if _, err := os.Lstat(filepath.Join(files, ".gitmodules")); err == nil && policy != messages.SubmodulesNone {
			return added{}, errKept
		}
		rule.Updates = &spb.Update{Identifier: s.GetIdentifier(), Attrs: map[string]string{pb.AttrGitSkipSubmodules: "true"}}
		return added{rule: rule}, nil
	}
	dir, err := inside(files, directory)
	if err != nil {
		return added{}, fmt.Errorf("%w: the commit %s has no folder %q", git.ErrNoCommit, commit, directory)
	}
	name := fmt.Sprintf("added-%d", r.sources.n)
	if err := r.mount(dir, name); err != nil {
		return added{}, err
	}
	rule.Updates = &spb.Update{Identifier: "local://" + name, Attrs: map[string]string{pb.AttrSharedKeyHint: remote.URL}}
	return added{dir, rule}, nil
}

// errSSH tells that a repository is read by ssh.
var errSSH = errors.New("it is read by ssh, for which builds have no key")

// errKept tells that a repository can't be added with its git folder.
var errKept = errors.New("ADD --keep-git-dir takes no repository with submodules")

// own tells whether an address is that of the pipeline's own repository.
func (r *run) own(address string) bool {
	own, ownErr := url.Parse(r.build.Pipeline.Repository)
	u, err := url.Parse(address)
	if ownErr != nil || err != nil {
		return false
	}
	a, ownErr := reach.ParsePlace(own)
	b, err := reach.ParsePlace(u)
	return ownErr == nil && err == nil && a == b && strings.Trim(u.Path, "/") == strings.Trim(own.Path, "/")
}

// mayDownload asks for a download as buildkitd will, to see where it leads: each host on the way must be one that strangers
// may name.
func (r *run) mayDownload(ctx context.Context, address string) error {
	rules := reach.Rules{}
	if r.solver.config.Rules != nil {
		rules = *r.solver.config.Rules
	}
	rules.Hosts, rules.Protocols = nil, nil // which are for repositories
	return rules.Follow(ctx, http.MethodGet, address, reach.Stranger)
}

// unadded says whose fault it is that something isn't added.
func (r *run) unadded(ctx context.Context, err error, place, address string) error {
	f := messages.Failure{Class: messages.FailureUser, Place: place}
	var sub *git.SubmoduleError
	var denied *reach.DeniedError
	said := r.clean(err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &sub):
		return r.unfetchedSubmodule(sub, address)
	case errors.Is(err, git.ErrUnreachable):
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("a repository that the Dockerfile adds, %s, can't be read now: %s", address, said)
		f.Fix = "check the address and that its host is up"
	case errors.Is(err, errSSH):
		f.Reason, f.Fix = fmt.Sprintf("the Dockerfile adds %s: %s", address, said), "give its https address"
	case errors.Is(err, git.ErrDenied), errors.Is(err, git.ErrNoRepository), errors.Is(err, git.ErrNoBranch), errors.Is(err, git.ErrNoCommit), errors.Is(err, errKept), tooLarge(err):
		f.Reason = fmt.Sprintf("a repository that the Dockerfile adds, %s, can't be read: %s", address, said)
		f.Fix = "correct its address and what is asked of it in the Dockerfile"
	case errors.As(err, &denied):
		f.Reason = fmt.Sprintf("the Dockerfile adds %s, which may not be reached: %s", address, r.clean(denied))
		f.Fix = "take it from a public address, or put it into the repository; who runs the builder can allow it (" + denied.Setting() + ")"
	case errors.Is(err, git.ErrNotAllowed):
		f.Reason, f.Fix = fmt.Sprintf("the Dockerfile adds %s, which may not be reached: %s", address, said), "correct the address in the Dockerfile"
	default:
		return r.lost(err)
	}
	return failed(f)
}
