package buildkit

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// gitFailure is a failure of BuildKit's git source, which clones what ADD takes with its git folder.
type gitFailure struct {
	git.Trouble
	folder bool   // it is about a folder in the repository
	remote string // the repository that was read; "" where it isn't told
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
		return gitFailure{folder: true, Trouble: git.Trouble{Said: text}}, true
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
	}
	return f, true
}

// explainGit is about a repository that the Dockerfile adds. What can't be reached now is for another attempt.
func (r *run) explainGit(g gitFailure) error {
	f := messages.Failure{Class: messages.FailureInfrastructure}
	said := messages.ShortenMiddle(g.Said, 600)
	switch {
	case g.Kind == git.Full:
		f.Reason, f.Fix = "the build machine has no room for the repository: "+said, "make room on the build machine"
	case g.Kind == git.NoHelper:
		f.Reason, f.Fix = "the git of buildkitd's machine lacks a transport: "+said, "install git there with its https transport"
	default:
		explainAdded(g, &f)
	}
	return failed(f)
}

// explainAdded is about a repository that the Dockerfile adds.
func explainAdded(g gitFailure, f *messages.Failure) {
	said := messages.ShortenMiddle(g.Said, 600)
	if g.Kind.Users() || g.folder {
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
	return ", " + messages.ShortenMiddle(remote, 300) + ","
}
