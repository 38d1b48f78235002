package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// skipWords are what forges take for a wish that a push is not built, anywhere in a commit's message, in any case
// (docs.github.com "Skipping workflow runs", docs.gitlab.com "Skip a pipeline", Bitbucket Pipelines, Azure Pipelines
// "Skipping CI for individual pushes", Drone, and Gitea's and Forgejo's SKIP_WORKFLOW_STRINGS).
var skipWords = []string{"[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "***no_ci***"}

// skipTrailer is GitHub's line for it, which stands in the message's last paragraph.
var skipTrailer = regexp.MustCompile(`(?im)^skip-checks:[ \t]*true[ \t]*$`)

// skipWord is the word in a commit's message that asks for no build, or "".
func skipWord(message string) string {
	lower := strings.ToLower(message)
	for _, w := range skipWords {
		if strings.Contains(lower, w) {
			return w
		}
	}
	paragraphs := strings.Split(strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n")), "\n\n")
	if last := paragraphs[len(paragraphs)-1]; len(paragraphs) > 1 && skipTrailer.MatchString(last) {
		return "skip-checks: true"
	}
	return ""
}

// skips tells whether the commit's message asks for no build, where the pipeline heeds that. Why is said also where
// the message can't be known.
func (d *declared) skips(e *event, ask asker) (out bool, why string) {
	if !d.skipCI {
		return false, ""
	}
	message := e.message
	if message == "" {
		c, err := ask(d, d.comparable(e), e.commit)
		if err != nil {
			return false, fmt.Sprintf("its commit's message is not known: %v", err)
		}
		message = c.Message
	}
	if word := skipWord(message); word != "" {
		return true, fmt.Sprintf("the commit's message has %s, which skip_ci heeds", word)
	}
	return false, ""
}

// comparable is the commit that a push can be compared with, where the pipeline looks at files; or "".
func (d *declared) comparable(e *event) string {
	if _, isBranch := e.branch(); !isBranch || d.pathList == nil || e.forced || zeros(e.before) {
		return ""
	}
	return e.before
}

// passesOver tells whether a push changed none of the files that the pipeline looks at. Why is said also where they are
// not known. Tags have no files of their own.
func (d *declared) passesOver(e *event, ask asker) (out bool, why string) {
	if _, isBranch := e.branch(); !isBranch || d.pathList == nil {
		return false, ""
	}
	if by := d.looksAt(e.paths.all()); by != "" {
		return false, by
	}
	var asked []string
	switch before := d.comparable(e); {
	case e.pathsComplete:
	case e.forced:
		return false, "which files it changed is not looked at: commits were dropped by it"
	case zeros(e.before):
		return false, "which files it changed is not looked at: the branch is new"
	case before == "":
		return false, "which files it changed is not known: the webhook doesn't say what was before"
	default:
		c, err := ask(d, before, e.commit)
		if err != nil {
			return false, fmt.Sprintf("which files it changed is not known: %v", err)
		}
		asked = c.Paths
	}
	if by := d.looksAt(slices.Values(asked)); by != "" {
		return false, by
	}
	n := len(asked)
	if e.pathsComplete {
		n = e.paths.count()
	}
	return true, fmt.Sprintf("none of the %d files that it changed matches paths %s", n, clip(strings.Join(d.pathList, ", ")))
}

// looksAt is the first of some files that the pipeline looks at, with the pattern that says so, in words; or "".
func (d *declared) looksAt(paths iter.Seq[string]) string {
	for p := range paths {
		if by, ok := d.paths.Match(p); ok {
			return fmt.Sprintf("path %q by %s", clip(p), clip(by))
		}
	}
	return ""
}

const (
	// askTimeout is how long a webhook's sender waits for repositories' answers at most, of all that it asks for.
	askTimeout = 4 * time.Second
	// asksAtOnce bounds how many repositories are asked what a push changed at one time.
	asksAtOnce = 4
)

// errAsksTooMany tells that too many repositories are being asked.
var errAsksTooMany = errors.New("too many repositories are being asked")

// asking is the asker that asks, within what ctx and askTimeout leave for all of its questions.
func (p *Producer) asking(ctx context.Context) asker {
	var until time.Time
	return asker(func(d *declared, before, commit string) (git.Change, error) {
		if until.IsZero() {
			until = time.Now().Add(askTimeout)
		}
		remote, err := p.remote(&d.pipeline)
		if err != nil {
			return git.Change{}, err
		}
		ctx, cancel := context.WithDeadlineCause(ctx, until, fmt.Errorf("the repository did not answer in %v", askTimeout))
		defer cancel()
		if p.asks.Acquire(ctx, 1) != nil {
			return git.Change{}, errAsksTooMany
		}
		defer p.asks.Release(1)
		return git.Compare(ctx, remote, before, commit)
	}).once()
}

// checkPathPattern tells whether s is a pattern that a file's path can match.
func checkPathPattern(s string) error {
	if err := messages.CheckPattern(s); err != nil {
		return err
	}
	name := strings.TrimPrefix(s, "!")
	switch {
	case strings.HasPrefix(name, "/"), strings.HasPrefix(name, "./"):
		return fmt.Errorf("%q matches no file: paths begin at the repository's root, without a slash: write %q", clip(s), clip(strings.TrimLeft(name, "./")))
	case strings.HasSuffix(name, "/"):
		return fmt.Errorf("%q matches no file: write %q for all below the folder", clip(s), clip(s+"**"))
	}
	return nil
}
