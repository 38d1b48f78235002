package buildkit

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// gitFailure is a failure of BuildKit's git source.
type gitFailure struct {
	git.Trouble
	place  gitPlace
	remote string // the repository that was read; "" where it isn't told
	submodule
}

// gitPlace is at what a git source fails.
type gitPlace int

const (
	atRemote     gitPlace = iota // asking, fetching and checking out the repository
	atSubmodules                 // the same of what it has in submodules
	atFolder                     // looking for the folder that is the context
)

// submodule is one that failed.
type submodule struct {
	path  string // "" where git doesn't tell
	url   string // "" where git doesn't tell
	fresh bool   // it was set up just before, by what .gitmodules says
}

// How BuildKit tells what its git source did, before git's own words.
var (
	gitRun    = regexp.MustCompile(`(?s)^((?:failed to [a-z ]+: )*)((?:failed|error|invalid|fatal)[^\n]*: )?git stderr:\n(.*?)(: (?:exit status \d+|signal: [a-z ]+))?$`)
	gitRemote = regexp.MustCompile(`^(failed to (?:fetch remote|checkout remote|update submodules for)|error fetching default branch for repository) (\S+): `)
	gitNoRef  = regexp.MustCompile(`^(failed to [a-z ]+: )*(repository does not contain ref |fetched ref .* does not match expected commit |expected checksum to match )`)
	gitFolder = regexp.MustCompile(`^(failed to [a-z ]+: )*(invalid subdir |failed to open subdir )`)
)

// readGit tells whether an error of BuildKit's is one of its git source, and what it comes to.
func readGit(text string) (gitFailure, bool) {
	switch {
	case gitFolder.MatchString(text):
		return gitFailure{place: atFolder, Trouble: git.Trouble{Said: text}}, true
	case gitNoRef.MatchString(text):
		return gitFailure{Trouble: git.Trouble{Kind: git.NoObject, Said: text}}, true
	}
	m := gitRun.FindStringSubmatch(text)
	if m == nil {
		return gitFailure{}, false
	}
	doing, said := m[2], m[3]
	f := gitFailure{Trouble: git.Read(said)}
	f.Said = cmp.Or(f.Said, strings.TrimSpace(doing+strings.TrimPrefix(m[4], ": ")))
	if at := gitRemote.FindStringSubmatch(doing); at != nil {
		f.remote = at[2]
		if strings.HasSuffix(at[1], "submodules for") {
			f.place, f.submodule = atSubmodules, readSubmodule(said)
		}
	}
	return f, true
}

// How git tells which submodule failed.
var (
	submoduleSetUp = regexp.MustCompile(`(?m)^Submodule '.*?' \((.*)\) registered for path '(.*)'$`)
	submoduleClone = regexp.MustCompile(`(?m)^fatal: clone of '(.*)' into submodule path '.*' failed$`)
	submodulePaths = []*regexp.Regexp{
		regexp.MustCompile(`(?m)^Failed to clone '(.*)' a second time, aborting$`),
		regexp.MustCompile(`(?m)^Failed to clone '(.*)'\. Retry scheduled$`),
		regexp.MustCompile(`(?m)^fatal: .*\bin submodule path '(.*?)'`),
		regexp.MustCompile(`(?m)^fatal: No url found for submodule path '(.*)' in \.gitmodules$`),
		regexp.MustCompile(`(?m)^fatal: no submodule mapping found in \.gitmodules for path '(.*)'$`),
	}
)

func readSubmodule(said string) submodule {
	var s submodule
	for _, form := range submodulePaths {
		if m := form.FindStringSubmatch(said); m != nil {
			s.path = m[1]
			break
		}
	}
	if m := submoduleClone.FindStringSubmatch(said); m != nil {
		s.url = m[1]
	}
	for _, m := range submoduleSetUp.FindAllStringSubmatch(said, -1) {
		if m[2] == s.path {
			s.url, s.fresh = cmp.Or(s.url, m[1]), true
		}
	}
	return s
}

// explainGit is about a repository: while planning the pipeline's own, later one that the
// Dockerfile adds. What can't be reached now is for another attempt.
func (r *run) explainGit(g gitFailure, planning bool) error {
	f := messages.Failure{Class: messages.FailureInfrastructure}
	said := messages.ShortenMiddle(g.Said, 600)
	switch {
	case g.Kind == git.Full:
		f.Reason, f.Fix = "the build machine has no room for the repository: "+said, "make room on the build machine"
	case g.Kind == git.NoHelper:
		f.Reason, f.Fix = "the git of buildkitd's machine lacks a transport: "+said, "install git there with its https transport"
	case g.place == atSubmodules:
		r.explainSubmodule(g, &f)
	case !planning:
		explainAdded(g, &f)
	default:
		r.explainOwn(g, &f)
	}
	return failed(f)
}

// explainOwn is about the pipeline's repository.
func (r *run) explainOwn(g gitFailure, f *messages.Failure) {
	said := messages.ShortenMiddle(g.Said, 600)
	if g.Kind.Users() || g.place == atFolder {
		f.Class = messages.FailureUser
	}
	switch {
	case g.place == atFolder:
		f.Reason = fmt.Sprintf("the commit %s has no folder %q", r.build.Commit, r.build.Pipeline.Directory)
		f.Fix = "correct the pipeline's directory"
	case g.Kind == git.NoObject:
		f.Reason = fmt.Sprintf("the repository no longer has the commit %s", r.build.Commit)
		f.Fix = "push it again, or ask for a commit that is there"
	case g.Kind == git.Denied:
		f.Reason = "the repository wants a credential, or refuses the one it was given: " + said
		f.Fix = "name a token that may read it in the pipeline's repository_token"
	case g.Kind.Users():
		f.Reason = "there is no such repository: " + said
		f.Fix = "correct the pipeline's repository"
	default:
		f.Reason = "the repository can't be read: " + said
		f.Fix = "check the address and that its host is up"
	}
}

// explainAdded is about a repository that the Dockerfile adds.
func explainAdded(g gitFailure, f *messages.Failure) {
	said := messages.ShortenMiddle(g.Said, 600)
	if g.Kind.Users() || g.place == atFolder {
		f.Class = messages.FailureUser
		f.Reason = fmt.Sprintf("a repository that the Dockerfile adds%s can't be read: %s", named(g.remote), said)
		f.Fix = "correct its address and what is asked of it in the Dockerfile"
		return
	}
	f.Reason = fmt.Sprintf("a repository that the Dockerfile adds%s can't be read now: %s", named(g.remote), said)
	f.Fix = "check the address and that its host is up"
}

func named(remote string) string {
	if remote == "" {
		return ""
	}
	return ", " + remote + ","
}

// bySSH are the addresses that git reads by ssh: URLs, and USER@HOST:PATH.
var bySSH = regexp.MustCompile(`^(ssh|git\+ssh|ssh\+git)://|^[^/:]+@[^/:]+:|^[^/:]+:[^/:]`)

// explainSubmodule is about a repository that another has as a submodule.
func (r *run) explainSubmodule(g gitFailure, f *messages.Failure) {
	said := messages.ShortenMiddle(g.Said, 600)
	what := "a submodule"
	if g.path != "" {
		what = fmt.Sprintf("the submodule %q", g.path)
	}
	if g.url != "" {
		what += " (" + messages.Shorten(g.url, 300) + ")"
	}
	if g.remote != "" && g.remote != r.build.Pipeline.Repository {
		what += " of " + g.remote
	}
	f.Class = messages.FailureUser
	switch {
	case g.Kind == git.Refused || g.url != "" && !strings.Contains(g.url, "://") && strings.Contains(g.url, "::"):
		f.Reason = fmt.Sprintf("%s has an address of a kind that builds may not read: %s", what, said)
		f.Fix = "give it an https address in .gitmodules, and commit that"
	case bySSH.MatchString(g.url):
		f.Reason = fmt.Sprintf("%s is read by ssh, for which builds have no key: %s", what, said)
		f.Fix = "give it an https address in .gitmodules, or one relative to the repository such as ../shared.git, and commit that"
	case g.Kind == git.NoObject:
		f.Reason = fmt.Sprintf("%s does not have the commit that the repository names: %s", what, said)
		f.Fix = "push that commit to the submodule's repository, or commit one that is there"
	case g.Kind == git.Denied:
		f.Reason = fmt.Sprintf("%s wants a credential, or refuses the one it was given: %s", what, said)
		f.Fix = "let it be read without one, or put what the build needs into the repository itself"
	case g.Kind.Users():
		f.Reason = fmt.Sprintf("%s can't be found: %s", what, said)
		f.Fix = "correct its address in .gitmodules, and commit that"
	default:
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("%s can't be read: %s", what, said)
		f.Fix = "check its address in .gitmodules and that its host is up"
	}
}
