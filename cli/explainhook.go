package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// maxHookFile bounds a file with a webhook: twice of what a producer takes, with room for headers.
const maxHookFile = 64 << 20

func newExplainHookCmd() *cobra.Command {
	var x producer.Explaining
	var from settings.PipelineFiles
	var headers []string
	var f format
	cmd := &cobra.Command{
		Use: "explain-hook FILE", Short: "Say what a webhook would build, and why, without a server",
		Long: `Reads a webhook, and says what a producer with this pipeline file would do with it: whether its
signature is right, what was pushed, which pipelines build that, and why the others don't. FILE has
the body as the forge shows it, or the whole request with its headers; - is standard input. Nothing
is built or stored. A signature is checked where the headers are there and the file has the very
bytes that were sent. Where a pipeline has paths and the webhook doesn't tell all files, the
repository is asked, as a producer does, unless --offline is given.`,
		Example: `  fenceline explain-hook push.json --forge github
  fenceline explain-hook request.txt --config /etc/fenceline/fenceline.yaml -o json
  fenceline explain-hook - --forge gitlab --header 'X-Gitlab-Event: Tag Push Hook' < push.json`,
		Args: settings.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := settings.FromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			s := &session{out: cmd.OutOrStdout(), format: f}
			path, err := from.Path(cmd.Flags())
			if err != nil {
				return err
			}
			if x.Header, err = writtenHeaders(headers); err != nil {
				return err
			}
			if x.Pipelines, x.Unread, err = producer.LoadUnsigned(path); err != nil {
				return err
			}
			return s.explainHook(cmd.Context(), x, args[0], cmd.InOrStdin())
		},
	}
	from.Add(cmd.Flags())
	settings.FolderVar(cmd.Flags(), &x.SecretsDir, "secrets-dir", "", "folder with the files of the secrets that pipelines name")
	cmd.Flags().StringVar(&x.Forge, "forge", "", "whose webhook it is, as in /hooks/FORGE, where its path or headers don't say")
	cmd.Flags().StringArrayVar(&headers, "header", nil, "a header of the webhook, 'NAME: VALUE'; may be given several times")
	cmd.Flags().BoolVar(&x.Offline, "offline", false, "ask no repository which files a push changed")
	f.flag(cmd.Flags())
	return cmd
}

// writtenHeaders reads headers as people write them.
func writtenHeaders(lines []string) (http.Header, error) {
	h := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, settings.Usagef("--header: %q is not 'NAME: VALUE', such as 'X-GitHub-Event: push'", messages.Shorten(line, 100))
		}
		h[textproto.CanonicalMIMEHeaderKey(name)] = append(h[textproto.CanonicalMIMEHeaderKey(name)], strings.TrimSpace(value))
	}
	return h, nil
}

func (s *session) explainHook(ctx context.Context, x producer.Explaining, file string, in io.Reader) error {
	sent, err := readHookFile(file, in)
	if err != nil {
		return err
	}
	e, err := x.Explain(ctx, sent)
	switch {
	case errors.Is(err, producer.ErrForge):
		return settings.Usagef("reading the webhook in %s: %w with --forge", file, err)
	case err != nil:
		return fmt.Errorf("reading the webhook in %s: %w", file, err)
	}
	return s.print(e, func(p *terminal.Page) { printExplanation(p, e) })
}

// readHookFile reads a file, or in for -.
func readHookFile(file string, in io.Reader) ([]byte, error) {
	if file != "-" {
		opened, err := os.Open(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil, settings.Usagef("there is nothing to read at %s: name a file with a webhook, or - for standard input", file)
		}
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		in = opened
	}
	sent, err := io.ReadAll(io.LimitReader(in, maxHookFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if len(sent) > maxHookFile {
		return nil, fmt.Errorf("%s has more than %d bytes: is it the right file?", file, maxHookFile)
	}
	return sent, nil
}

func printExplanation(p *terminal.Page, e *producer.Explanation) {
	p.Line("forge: %s", e.Forge)
	if e.Event != "" {
		p.Line("event: %s %s", e.Event, e.Delivery)
	}
	for _, a := range e.Assumed {
		p.Line("assumed, as the file doesn't have it: %s", a)
	}
	p.Line("signature: %s", e.Signature.Said)
	if e.Ignored != "" {
		p.Line("ignored: %s", e.Ignored)
	}
	for _, r := range e.Pushes {
		p.Line("push: %s of %s, %s → %s%s", messages.ShownRef(r.Ref), strings.Join(r.Repository, " "), orNone(overview.ShortCommit(r.Before)), orNone(overview.ShortCommit(r.Commit)), pushedBy(&r))
		for _, a := range r.Pipelines {
			word := "not built"
			if a.Build {
				word = "BUILT"
			}
			p.Line("  %s: %s: %s", a.Pipeline, word, a.Why)
		}
	}
	if e.Problem != "" {
		p.Line("the producer refuses it: %s", e.Problem)
	}
	if len(e.WouldBuild) == 0 {
		p.Line("nothing would be built")
	} else {
		p.Line("would be built: %s", strings.Join(e.WouldBuild, ", "))
	}
}

func orNone(commit string) string {
	if strings.Trim(commit, "0") == "" {
		return "none"
	}
	return commit
}

// pushedBy is what else is told of a push.
func pushedBy(r *producer.PushedRef) string {
	said := ""
	if r.Pusher != "" {
		said += ", by " + r.Pusher
	}
	if r.Forced {
		said += ", forced"
	}
	switch {
	case r.AllFiles:
		said += fmt.Sprintf(", %d files", r.Files)
	case r.Files > 0:
		said += fmt.Sprintf(", %d files and maybe others", r.Files)
	}
	return said
}
