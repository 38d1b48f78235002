package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/standardwebhooks"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// gitHook is what the commands of a repository's hook are given, by flags, variables or the repository's configuration.
type gitHook struct {
	url, repository, secretFile, gitDir string
	timeout                             time.Duration
}

// hookDeadline is how long a pusher waits for the hook, whatever it does.
const hookDeadline = 5 * time.Second

func newHookCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hook", Short: "Tell a producer of pushes, from the hook of a plain git server",
		Example: "  fenceline hook post-receive\n  fenceline hook flush --git-dir /srv/git/base.git",
		Args:    noSuchCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPostReceiveCmd(), newFlushCmd())
	return cmd
}

func newPostReceiveCmd() *cobra.Command {
	var g gitHook
	cmd := &cobra.Command{
		Use: "post-receive", Short: "Be the post-receive hook of a repository",
		Long: `Reads the lines that git gives a post-receive hook (OLD NEW REF) from standard input, and tells the
producer of each branch and tag, signed as the Standard Webhooks specification says. What the producer can't
be told, as it is away, is kept in the folder fenceline-spool beside the repository, and sent by the next push
or by 'fenceline hook flush'. A push waits for --timeout at most, and is never undone: the exit status is 0.
Who pushes is told of the builds that are queued, and nothing of branches that no pipeline builds.` + gitHookNote,
		Example: "  #!/bin/sh\n  # hooks/post-receive\n  exec fenceline hook post-receive",
		Args:    settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := g.bounded(cmd)
			defer cancel()
			says := terminal.NewPage(cmd.ErrOrStderr())
			for _, err := range inTime(ctx, func() []error {
				return g.received(ctx, cmd.InOrStdin(), cmd.OutOrStdout(), func() error { return g.settle(ctx, cmd) })
			}) {
				says.Line("fenceline: %v", nameFlags(cmd.Flags(), err))
			}
			return says.Flush()
		},
	}
	g.flags(cmd)
	return cmd
}

func newFlushCmd() *cobra.Command {
	var g gitHook
	cmd := &cobra.Command{
		Use: "flush", Short: "Tell the producer of pushes that were kept while it was away",
		Long: `Sends what the post-receive hook of a repository kept, in order. Run it now and then, such as by cron, for
repositories that are pushed to rarely. The exit status is 1 where something is still kept.` + gitHookNote,
		Example: "  fenceline hook flush --git-dir /srv/git/base.git",
		Args:    settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := g.bounded(cmd)
			defer cancel()
			if err := g.settle(ctx, cmd); err != nil {
				return err
			}
			return errors.Join(g.send(ctx, cmd.OutOrStdout(), nil)...)
		},
	}
	g.flags(cmd)
	return cmd
}

const gitHookNote = `

The producer's hook, the repository's URL as the pipeline has it, and the file with the webhook's secret are given by
flags, by variables (--secret-file as $FENCELINE_SECRET_FILE), or in the repository: git config fenceline.url,
fenceline.repository and fenceline.secret-file.`

func (g *gitHook) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.url, "url", "", "the producer's generic hook, http://HOST:PORT/hooks/generic")
	cmd.Flags().StringVar(&g.repository, "repository", "", "the repository's URL as the pipeline has it")
	settings.FileVar(cmd.Flags(), &g.secretFile, "secret-file", "", "file with the pipeline's webhook secret")
	settings.FolderVar(cmd.Flags(), &g.gitDir, "git-dir", "", "the repository's own folder, such as base.git; else $GIT_DIR, which hooks have, or the current folder's")
	settings.SpanVar(cmd.Flags(), &g.timeout, "timeout", hookDeadline, "how long all of it may take")
}

// bounded is the command's context with the one deadline for all that it does.
func (g *gitHook) bounded(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	if g.timeout <= 0 {
		g.timeout = hookDeadline
	}
	return context.WithTimeoutCause(cmd.Context(), g.timeout, fmt.Errorf("it took more than %v", g.timeout))
}

// hookGrace is what may follow the deadline, for what ends with it to say so.
const hookGrace = 500 * time.Millisecond

// inTime does what the hook does, and leaves what can't be ended, such as a read of a file on a server that is away.
func inTime(ctx context.Context, do func() []error) []error {
	done := make(chan []error, 1)
	go func() { done <- do() }()
	select {
	case wrong := <-done:
		return wrong
	case <-ctx.Done():
	}
	select {
	case wrong := <-done:
		return wrong
	case <-time.After(hookGrace):
		return []error{fmt.Errorf("whether the producer was told is not known: %w: the push stands; the next push tells it, or 'fenceline hook flush'", context.Cause(ctx))}
	}
}

// settle completes what the flags say by variables and the repository's configuration.
func (g *gitHook) settle(ctx context.Context, cmd *cobra.Command) error {
	if err := settings.FromEnvironment(cmd.Flags()); err != nil {
		return err
	}
	if err := g.locate(ctx); err != nil {
		return err
	}
	for _, s := range []struct {
		to   *string
		name string
	}{{&g.url, "url"}, {&g.repository, "repository"}, {&g.secretFile, "secret-file"}} {
		if *s.to != "" {
			continue
		}
		out, err := g.git(ctx, "config", "--get", "fenceline."+s.name)
		if *s.to = strings.TrimSpace(out); err != nil || *s.to == "" {
			return settings.Usagef("--%s is missing (or $%s, or git config fenceline.%s)", s.name, settings.Variable(s.name), s.name)
		}
	}
	return nil
}

// locate finds the repository's own folder.
func (g *gitHook) locate(ctx context.Context) error {
	if g.gitDir == "" {
		out, err := exec.CommandContext(ctx, "git", "rev-parse", "--absolute-git-dir").Output()
		if err != nil {
			return settings.Usagef("--git-dir is missing, and the current folder is in no repository that git reads: %s", gitSaid(err))
		}
		g.gitDir = strings.TrimSpace(string(out))
	}
	dir, err := filepath.Abs(g.gitDir)
	if g.gitDir = dir; err != nil {
		return err
	}
	if _, err := g.git(ctx, "rev-parse", "--git-dir"); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return settings.Usagef("--git-dir %s is no repository's own folder, such as base.git, that git reads: %s", g.gitDir, gitSaid(err))
	}
	return nil
}

// git runs git in the repository.
func (g *gitHook) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir=" + g.gitDir}, args...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return string(out), err
}

// gitSaid is what git printed as it failed.
func gitSaid(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return strings.TrimSpace(string(exit.Stderr))
	}
	return err.Error()
}

// received does what the hook does, and returns what is wrong: the push stands.
func (g *gitHook) received(ctx context.Context, in io.Reader, out io.Writer, settle func() error) []error {
	pushed, malformed := pushedRefs(in)
	var wrong []error
	if malformed != nil {
		wrong = append(wrong, malformed)
	}
	if len(pushed) == 0 {
		return wrong
	}
	if err := settle(); err != nil {
		return append(wrong, fmt.Errorf("the producer is not told of this push: %w", err))
	}
	return append(wrong, g.send(ctx, out, pushed)...)
}

// pushedRefs reads git's lines, and keeps those of branches and tags. The error is about those that are none.
func pushedRefs(in io.Reader) ([]pushedRef, error) {
	var pushed []pushedRef
	var malformed error
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), " ", 3)
		switch {
		case len(f) != 3 || f[0] == "" || f[1] == "" || f[2] == "":
			malformed = cmp.Or(malformed, fmt.Errorf("standard input: %q is not OLD NEW REF, as git gives it to a post-receive hook", lines.Text()))
		case strings.HasPrefix(f[2], messages.BranchRefs) || strings.HasPrefix(f[2], messages.TagRefs):
			pushed = append(pushed, pushedRef{f[0], f[1], f[2]})
		}
	}
	return pushed, errors.Join(malformed, lines.Err())
}

// send keeps pushes, then tells the producer of all that is kept, in order, and says on out what is queued of it.
// Where they can't be kept, they are sent all the same.
func (g *gitHook) send(ctx context.Context, out io.Writer, pushed []pushedRef) []error {
	var wrong []error
	spool := hookSpool{dir: filepath.Join(g.gitDir, "fenceline-spool")}
	unkept, err := spool.keep(pushed)
	if err != nil {
		wrong = append(wrong, fmt.Errorf("pushes can't be kept for when the producer is away: %w", err))
	}
	unlock, err := spool.lock(ctx)
	if err != nil {
		return append(wrong, fmt.Errorf("the producer is not told yet: %w", err))
	}
	defer unlock()
	kept, err := spool.list()
	if err != nil {
		wrong = append(wrong, err)
	}
	to, err := g.target()
	if err == nil {
		err = g.sendAll(ctx, out, to, spool, append(kept, unkept...), &wrong)
	}
	switch {
	case err == nil:
	case len(unkept) > 0:
		wrong = append(wrong, fmt.Errorf("the producer is not told of this push, nor is it kept: %w: the push stands; 'fenceline submit PIPELINE' builds it", err))
	default:
		wrong = append(wrong, fmt.Errorf("the producer is not told yet: %w: the push stands; the next push tells it, or 'fenceline hook flush'", err))
	}
	return wrong
}

// target is where hooks go, with their secret.
func (g *gitHook) target() (*hookTarget, error) {
	content, err := messages.ReadSecret(g.secretFile)
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(content.Reveal()), "\n") // a new secret stands beside the old one
	secret, err := messages.NewSecret(first).Word()
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %s %w", g.secretFile, err)
	}
	key, err := standardwebhooks.Key(secret)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.secretFile, err)
	}
	return &hookTarget{g.url, g.repository, key}, nil
}

// sendAll sends what is kept, one push of each ref, until one can't be sent. One that is refused for good is let go.
func (g *gitHook) sendAll(ctx context.Context, out io.Writer, to *hookTarget, spool hookSpool, kept []keptPush, wrong *[]error) error {
	page := terminal.NewPage(out)
	defer func() { _ = page.Flush() }() // a pusher who is gone reads nothing
	for _, k := range lastOfEach(kept) {
		if strings.Trim(k.After, "0") != "" { // nothing is built of what is gone
			body, err := g.body(ctx, to.repository, k)
			if err != nil {
				return err
			}
			a, err := to.sendOnce(ctx, body)
			switch {
			case err == nil:
				for _, b := range a.Builds {
					if b.before() == "" {
						page.Line("fenceline: build %s queued (%s)", b.Build, k.Ref)
					} else {
						page.Line("fenceline: build %s%s (%s)", b.Build, b.before(), k.Ref)
					}
				}
			case !forGood(err):
				return err
			default:
				*wrong = append(*wrong, fmt.Errorf("%s: %w: it is not sent again", k.Ref, err))
			}
		}
		spool.drop(k.files)
	}
	return nil
}

// forGood tells whether sending the same again is no use. A wrong secret, clock or address can be mended.
func forGood(err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) && (refused.status == 400 || refused.status == 413 || refused.status == 422)
}

// whoPushed is who pushes, for people.
func whoPushed() string {
	for _, name := range []string{"GL_USERNAME", "REMOTE_USER"} { // as git's servers have it
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return whoami()
}
