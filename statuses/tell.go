package statuses

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/statuses/target"
)

// missingFor is how long a commit that the forge doesn't have is asked for again: mirrors are late.
const missingFor = time.Hour

// handle tells what is to be told of a commit now. An error ends the worker's turn.
func (f *forge) handle(ctx context.Context, it turn, a about) error {
	v, err := f.w.look(ctx, a)
	if err == nil && v == nil {
		f.done(ctx, it)
		return nil
	}
	var was told
	if err == nil {
		was, err = f.w.told(ctx, v)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil { // NATS is away: not the forge
		f.w.Logger.Warn().Err(err).Str("build", a.build).Msg("a status waits for NATS")
		f.later(it, f.w.Pause)
		return nil
	}
	if was.settles(v) || time.Since(a.at) > tooLate {
		f.done(ctx, it)
		return nil
	}
	if blocked := time.Until(v.route.blocked); blocked > 0 {
		f.later(it, blocked)
		return nil
	}
	return f.tell(ctx, it, a.at, v, was)
}

// tell tells v, of which the hint was stored at a time.
func (f *forge) tell(ctx context.Context, it turn, at time.Time, v *view, was told) error {
	call, release := lasting(ctx)
	defer release()
	err := f.send(call, v)
	if err != nil && ctx.Err() != nil { // what became of it is not known: it is told again
		return context.Cause(ctx)
	}
	if unmoved(v.route.Forge, err) {
		err = nil
	}
	f.w.Metrics.Told(string(v.route.Forge), outcomeOf(err))
	var r *refusal
	var token *tokenError
	switch {
	case err == nil:
		f.back()
		f.resolved(call, v.route)
		return f.keep(call, it, v, was, "")
	case errors.As(err, &token):
		f.deny(ctx, it, v.route, err)
	case errors.As(err, &r) && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden && !r.limit):
		f.back()
		f.deny(ctx, it, v.route, err)
	case errors.As(err, &r) && (r.status == http.StatusNotFound && time.Since(at) < missingFor || r.status == http.StatusInternalServerError):
		f.back() // others are told: Gitea answers 500 for a commit that it doesn't have
		it.attempts++
		f.later(it, grown(f.w.Pause, it.attempts, rightsMost))
		f.trouble(ctx, v.route, explain(v.route.Target, err))
	case errors.As(err, &r) && !r.limit && r.status >= 400 && r.status < 500 && r.status != http.StatusRequestTimeout:
		f.back()
		f.w.Logger.Warn().Err(explain(v.route.Target, err)).Str("build", v.build).Msg("the forge does not take a status")
		return f.keep(call, it, v, was, r.Error())
	default:
		var asked time.Duration
		if r != nil {
			asked = r.away
		}
		d := f.away(asked)
		f.w.Logger.Warn().Err(explain(v.route.Target, err)).Stringer("again_in", d.Round(time.Millisecond)).Msg("forge not told, trying again")
		f.trouble(ctx, v.route, explain(v.route.Target, err))
	}
	return nil
}

// outcomeOf is what became of a call, as metrics have it.
func outcomeOf(err error) string {
	var r *refusal
	var token *tokenError
	switch {
	case err == nil:
		return "told"
	case errors.As(err, &token), errors.As(err, &r) && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden && !r.limit):
		return "denied"
	case errors.As(err, &r) && !r.limit && r.status >= 400 && r.status < 500 && r.status != http.StatusRequestTimeout && r.status != http.StatusNotFound:
		return "refused"
	}
	return "failed"
}

// lasting is a context for a call and what is written down of it, which a worker that is told to stop still ends, for a moment.
// One that has lost its lease doesn't.
func lasting(ctx context.Context) (call context.Context, release func()) {
	call, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); errors.Is(cause, queue.ErrLeaseLost) {
			cancel(cause)
			return
		}
		time.AfterFunc(lastCall, func() { cancel(context.Cause(ctx)) })
	})
	return call, func() { stop(); cancel(nil) }
}

// lastCall is how long a call that is under way may take once the worker is told to stop.
const lastCall = 2 * time.Second

// send tells the forge a status.
func (f *forge) send(ctx context.Context, v *view) error {
	t := v.route.Target
	token, err := readToken(t.TokenFile)
	if err != nil {
		return err
	}
	v.route.refused = fingerprint(token)
	transport, err := f.base(t.CAFile)
	if err != nil {
		return err
	}
	c, err := newClient(t, token, transport)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return c.tell(ctx, said{
		commit: v.commit, branch: v.branch, state: stateOf(v.status.State), context: t.Context, text: v.status.Text,
		leads: t.Leads(t.Pipeline, v.build, v.commit),
	})
}

// base is the transport for targets with the same file of certificate authorities. It is made anew where the last call
// failed, so that a file that was changed counts.
func (f *forge) base(caFile string) (http.RoundTripper, error) {
	f.mu.Lock()
	failed := f.failures > 0
	f.mu.Unlock()
	if b := f.bases[caFile]; b != nil && !failed {
		return b, nil
	}
	b, err := reach.Outward(caFile)
	if err != nil {
		return nil, err
	}
	if old, ok := f.bases[caFile].(*http.Transport); ok {
		old.CloseIdleConnections()
	}
	f.bases[caFile] = b
	return b, nil
}

// keep writes down what the forge knows, or why it never will.
func (f *forge) keep(ctx context.Context, it turn, v *view, was told, refused string) error {
	s := messages.ForgeStatus{
		Pipeline: v.route.Pipeline, Commit: v.commit, Build: v.build, Request: v.request, State: string(v.status.State), Text: v.status.Text,
		Context: v.route.Context, Refused: refused, At: time.Now().UTC(),
	}
	records := store.ForgeStatuses(f.w.Queue)
	var err error
	if was.revision == 0 {
		_, err = records.Create(ctx, v.key(), s)
	} else {
		_, err = records.Update(ctx, v.key(), s, was.revision)
	}
	switch {
	case err == nil:
		f.w.Logger.Info().Str("build", v.build).Str("commit", short(v.commit)).Str("state", s.State).Str("text", s.Text).Msg("forge told")
		f.done(ctx, it)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, queue.ErrForbidden):
		return fmt.Errorf("keeping what the forge was told: %w", err)
	default: // told again, which changes nothing at the forge
		f.w.Logger.Warn().Err(err).Str("build", v.build).Msg("what the forge was told is not written down yet")
		f.later(it, f.w.Pause)
	}
	return nil
}

// deny keeps what waits of a pipeline until its token is another, or for a while.
func (f *forge) deny(ctx context.Context, it turn, r *route, err error) {
	r.attempts++
	d := grown(f.w.Pause, r.attempts+2, rightsMost)
	r.blocked = time.Now().Add(d)
	f.later(it, d)
	f.trouble(ctx, r, explain(r.Target, err))
}

// unmoved tells whether GitLab refuses a status as it is in that state already, of which it takes no other text.
func unmoved(f target.Forge, err error) bool {
	var r *refusal
	return f == target.GitLab && errors.As(err, &r) && r.status == http.StatusBadRequest && strings.Contains(r.reason, "Cannot transition status")
}
