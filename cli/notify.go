package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/spf13/cobra"
)

func newNotifyCmd() *cobra.Command {
	var url, repository, secretFile string
	cmd := &cobra.Command{
		Use: "notify", Short: "Tell a producer of a push, from a git post-receive hook",
		Long: `Reads the lines that git gives a post-receive hook (OLD NEW REF) from standard input and
sends a webhook for each, signed as the Standard Webhooks specification says.` + settings.VariablesNote("secret-file"),
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
			key, err := signingKey(secret)
			if err != nil {
				return fmt.Errorf("%s: %w", secretFile, err)
			}
			return notify(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), url, repository, key)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "the producer's generic hook, http://HOST:PORT/hooks/generic")
	cmd.Flags().StringVar(&repository, "repository", "", "the repository's URL as the pipeline has it")
	settings.FileVar(cmd.Flags(), &secretFile, "secret-file", "", "file with the pipeline's webhook secret")
	settings.Need(cmd.Flags(), "url", "repository", "secret-file")
	return cmd
}

// signingKey is the key of a secret: Standard Webhooks writes keys as whsec_ and base64;
// any other secret is its own bytes.
func signingKey(secret messages.Secret) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret.Reveal(), "whsec_")
	if !ok {
		return []byte(secret.Reveal()), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("what follows whsec_ is not base64")
	}
	return key, nil
}

// notify sends a hook for each line, and reports the first refusal after all were sent.
func notify(ctx context.Context, in io.Reader, out io.Writer, url, repository string, key []byte) error {
	var failed error
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			return fmt.Errorf("standard input: %q is not OLD NEW REF, as git gives it to a post-receive hook", lines.Text())
		}
		a, err := push(ctx, url, key, map[string]string{
			"repository": repository, "before": f[0], "after": f[1], "ref": f[2], "pusher": whoami(),
		})
		switch {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("%s: %w", f[2], err))
		case a.Ignored != "":
			fmt.Fprintf(out, "fenceline: %s: ignored: %s\n", f[2], a.Ignored)
		}
		if err == nil {
			for _, b := range a.Builds {
				fmt.Fprintf(out, "fenceline: %s: build %s, order %d\n", f[2], b.Build, b.Order)
			}
		}
	}
	return errors.Join(failed, lines.Err())
}

// notifyTries is how often a hook is sent where the producer can't take it yet.
const notifyTries = 5

// notifyTime bounds each try: a push to the repository waits for it.
const notifyTime = 15 * time.Second

// push sends one hook, again after a moment where the producer is away or busy.
func push(ctx context.Context, url string, key []byte, body map[string]string) (*answer, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		a, err := pushOnce(ctx, url, key, b)
		if err == nil || try == notifyTries || !mayPass(err) {
			return a, err
		}
		if !queue.Pause(ctx, time.Duration(try)*500*time.Millisecond) {
			return nil, context.Cause(ctx)
		}
	}
}

func pushOnce(ctx context.Context, url string, key, body []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	req, err := signed(ctx, url, key, body)
	if err != nil {
		return nil, settings.Usage(fmt.Errorf("--url: %w", err))
	}
	return answerOf(req)
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
	id, stamp := "msg_"+messages.NewID(), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", stamp)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return req, nil
}
