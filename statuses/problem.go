package statuses

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/statuses/target"
	"github.com/fenceline/fenceline/terminal"
)

// tokenError is what is wrong with the file of a token.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return "token_file: " + e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// readToken reads the token anew for each call, so that a new one counts at once.
func readToken(file string) (messages.Secret, error) {
	s, err := messages.ReadSecret(file)
	if err == nil {
		if s, err = s.Word(); err != nil {
			err = fmt.Errorf("%s %w", file, err)
		}
	}
	if err != nil {
		return s, &tokenError{err}
	}
	return s, nil
}

// fingerprint tells tokens apart without keeping them.
func fingerprint(token messages.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return string(sum[:])
}

// tokenLook is how often the files of tokens that were refused are looked at.
const tokenLook = 2 * time.Second

// tokensChanged has what waits for a token told at once where the token is another than the one that was refused.
func (f *forge) tokensChanged() {
	for _, r := range f.w.routes {
		if r.forge != f || time.Now().After(r.blocked) {
			continue
		}
		if token, err := readToken(r.TokenFile); err == nil && fingerprint(token) != r.refused {
			r.blocked, r.attempts = time.Time{}, 0
			f.mu.Lock()
			for _, it := range f.waiting {
				if w := it.pipeline; w == r.Pipeline || w == "" {
					it.after = time.Time{}
				}
			}
			f.mu.Unlock()
		}
	}
}

// trouble logs what keeps a pipeline's statuses from its forge, and writes it down for `status`, once.
func (f *forge) trouble(ctx context.Context, r *route, err error) {
	if text := visible(err.Error()); r.problem != text {
		f.w.Logger.Error().Str("pipeline", r.Pipeline).Str("problem", text).Msg("statuses don't reach the forge")
		r.problem, r.announced = text, false
	}
	if r.announced {
		return
	}
	_, err = store.ForgeProblems(f.w.Queue).Modify(ctx, messages.ForgeProblemKey(r.Pipeline), func(p *messages.ForgeProblem) error {
		if p.Problem == r.problem {
			return queue.ErrUnchanged
		}
		if p.Since.IsZero() {
			p.Since = time.Now().UTC()
		}
		p.Pipeline, p.Forge, p.Problem = r.Pipeline, r.URL, r.problem
		return nil
	})
	r.announced = err == nil
}

// resolved takes a problem back. At the start there may be one of an earlier worker.
func (f *forge) resolved(ctx context.Context, r *route) {
	r.attempts, r.blocked = 0, time.Time{}
	if r.problem == "" && r.announced {
		return
	}
	records := store.ForgeProblems(f.w.Queue)
	e, err := records.Current(ctx, messages.ForgeProblemKey(r.Pipeline))
	if err == nil {
		f.w.Logger.Info().Str("pipeline", r.Pipeline).Msg("statuses reach the forge again")
		err = records.Delete(ctx, e.Key, e.Revision)
	}
	r.problem, r.announced = "", err == nil || errors.Is(err, queue.ErrNotFound)
}

// ForgetProblems takes back what kept the statuses of pipelines from their forges that go to none any more.
func ForgetProblems(ctx context.Context, c *queue.Client, targets []target.Target) error {
	records := store.ForgeProblems(c)
	all, err := records.List(ctx)
	for _, e := range all {
		if slices.ContainsFunc(targets, func(t target.Target) bool { return t.Pipeline == e.Value.Pipeline }) {
			continue
		}
		err = errors.Join(err, records.Delete(ctx, e.Key, e.Revision))
	}
	if err != nil {
		return fmt.Errorf("forgetting problems of pipelines without statuses: %w", err)
	}
	return nil
}

// explain is what is wrong, with what mends it.
func explain(t target.Target, err error) error {
	var r *refusal
	if call := (*url.Error)(nil); errors.As(err, &call) {
		err = call.Err // the address is said below
	}
	at := func(format string, a ...any) error {
		return fmt.Errorf("%s at %s: %w: %s", t.Repository, t.URL, err, fmt.Sprintf(format, a...))
	}
	switch {
	case errors.As(err, new(*tokenError)):
		return fmt.Errorf("%w: put a token with %s into it", err, scopes[t.Forge])
	case unknownAuthority(err):
		return fmt.Errorf("%s: %w: name its certificate authority with ca_file", t.URL, err)
	case !errors.As(err, &r):
		return fmt.Errorf("%s: %w", t.URL, err)
	case r.limit:
		return at("it was asked too often: it is left alone for a while")
	case r.status == http.StatusUnauthorized:
		return at("it does not know the token in %s, or it is over: make one with %s", t.TokenFile, scopes[t.Forge])
	case r.status == http.StatusForbidden:
		return at("the token in %s may not write statuses: give it %s, and its user the right to push", t.TokenFile, scopes[t.Forge])
	case r.status == http.StatusNotFound:
		return at("it has no such repository or commit, or shows them not to the token in %s: check repository, and that the token has %s", t.TokenFile, scopes[t.Forge])
	case r.status < http.StatusBadRequest:
		return at("give as url the address where it ends")
	}
	return at("look at the forge's own log")
}

// visible is one line of what a forge says.
func visible(s string) string { return terminal.Visible(s) }
