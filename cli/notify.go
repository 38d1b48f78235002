package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/standardwebhooks"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func newNotifyCmd() *cobra.Command {
	var url, repository, secretFile string
	cmd := &cobra.Command{
		Use: "notify", Short: "Tell a producer of a push, from a git post-receive hook",
		Long: `Reads the lines that git gives a post-receive hook (OLD NEW REF) from standard input and
sends a webhook for each branch, signed as the Standard Webhooks specification says. The push waits
for all of them together for at most 5 seconds. Nothing is sent for tags and deleted branches, and
nothing said of branches that no pipeline builds.` + settings.VariablesNote("secret-file"),
		Example: `  #!/bin/sh
  # hooks/post-receive
  exec fenceline notify --url http://fenceline:8440/hooks/generic \
    --repository https://git.example.com/ops/base.git --secret-file /etc/fenceline/hook`,
		Args: settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := settings.FromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			if err := settings.Required(cmd.Flags()); err != nil {
				return err
			}
			secret, err := settings.ReadSecret(secretFile)
			if err != nil {
				return err
			}
			key, err := standardwebhooks.Key(secret)
			if err != nil {
				return fmt.Errorf("%s: %w", secretFile, err)
			}
			return notify(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), hookTarget{url, repository, key})
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "the producer's generic hook, http://HOST:PORT/hooks/generic")
	cmd.Flags().StringVar(&repository, "repository", "", "the repository's URL as the pipeline has it")
	settings.FileVar(cmd.Flags(), &secretFile, "secret-file", "", "file with the pipeline's webhook secret")
	settings.Need(cmd.Flags(), "url", "repository", "secret-file")
	return cmd
}

// A git push waits while its hook runs.
const (
	// notifyTime bounds what a push waits for, however many refs it has.
	notifyTime = 5 * time.Second
	// notifyPause is the pause before a hook is sent again, the first time. It doubles.
	notifyPause = 250 * time.Millisecond
	// notifyAtOnce bounds how many hooks are sent at one time.
	notifyAtOnce = 16
)

// notify sends a hook for each branch that was pushed, all in notifyTime, and then says what became of
// them: what is built, and what is not known to be.
func notify(ctx context.Context, in io.Reader, out io.Writer, to hookTarget) error {
	pushed, malformed := pushedBranches(in)
	bounded, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	answers, failures := make([]*answer, len(pushed)), make([]error, len(pushed))
	var all errgroup.Group
	all.SetLimit(notifyAtOnce)
	for i, p := range pushed {
		all.Go(func() error {
			answers[i], failures[i] = to.send(bounded, p)
			return nil
		})
	}
	_ = all.Wait() // each has its own error
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	page, strange := terminal.NewPage(out), ""
	for i, a := range answers {
		if a == nil {
			continue
		}
		if a.Unknown {
			strange = a.Ignored
		}
		for _, b := range a.Builds {
			page.Line("fenceline: %s: build %s, order %d%s", pushed[i].ref, b.Build, b.Order, b.before())
		}
	}
	if strange != "" {
		page.Line("fenceline: nothing of this repository is built: %s: compare --repository with the pipeline's", strange)
	}
	return errors.Join(malformed, unsent(pushed, failures), page.Flush())
}

// pushedRef is a ref that was pushed, as git tells a post-receive hook.
type pushedRef struct{ before, after, ref string }

// pushedBranches are those of git's lines that are of branches that are there now. The error is about those that are
// none; it doesn't keep the others from being sent.
func pushedBranches(in io.Reader) ([]pushedRef, error) {
	pushed, malformed := pushedRefs(in)
	return slices.DeleteFunc(pushed, func(p pushedRef) bool {
		return !strings.HasPrefix(p.ref, messages.BranchRefs) || strings.Trim(p.after, "0") == ""
	}), malformed
}

// unsent says of which refs a producer doesn't know, each cause once, and what to do.
func unsent(pushed []pushedRef, failures []error) error {
	var causes []error
	refs := map[string][]string{}
	for i, err := range failures {
		if err == nil {
			continue
		}
		if refs[err.Error()] == nil {
			causes = append(causes, err)
		}
		refs[err.Error()] = append(refs[err.Error()], pushed[i].ref)
	}
	var all error
	for _, cause := range causes {
		named := refs[cause.Error()]
		of := strings.Join(named[:min(len(named), 3)], ", ")
		if more := len(named) - 3; more > 0 {
			of += fmt.Sprintf(" and %d more", more)
		}
		all = errors.Join(all, fmt.Errorf("%s: %w", of, cause))
	}
	if all != nil {
		all = fmt.Errorf("%w: the push itself is done; what is not built yet can be asked for with 'fenceline submit PIPELINE'", all)
	}
	return all
}

// hookTarget is where hooks go, of which repository, and the key that signs them.
type hookTarget struct {
	url, repository string
	key             []byte
}

// send sends the hook of one ref, again after a moment where the producer is away or busy, until ctx
// ends. The error is then the last one that says something.
func (h *hookTarget) send(ctx context.Context, p pushedRef) (*answer, error) {
	body, err := json.Marshal(map[string]string{
		"repository": h.repository, "before": p.before, "after": p.after, "ref": p.ref, "pusher": whoami(),
	})
	if err != nil {
		return nil, err
	}
	last := fmt.Errorf("%w: it did not answer in %s", errUnreached, notifyTime)
	for pause := notifyPause; ; pause *= 2 {
		a, err := h.sendOnce(ctx, body)
		if err == nil {
			return a, nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if !mayPass(err) || !queue.Pause(ctx, pause) {
			return nil, last
		}
	}
}

func (h *hookTarget) sendOnce(ctx context.Context, body []byte) (*answer, error) {
	req, err := signed(ctx, h.url, h.key, body)
	if err != nil {
		return nil, settings.Usage(fmt.Errorf("--url: %w", err))
	}
	return answerOf(http.DefaultClient, req)
}

// mayPass tells whether sending the same again can help.
func mayPass(err error) bool {
	var refused *refusedError
	if errors.As(err, &refused) {
		return refused.status >= http.StatusInternalServerError || refused.status == http.StatusTooManyRequests
	}
	return errors.Is(err, errUnreached)
}

// signed makes the request of a hook, by the Standard Webhooks specification.
func signed(ctx context.Context, url string, key, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	standardwebhooks.Sign(req.Header, "msg_"+messages.NewID(), time.Now(), body, key)
	return req, nil
}
