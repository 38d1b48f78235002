package producer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// A call with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) is answered alike however often it comes, by
// whichever producer, also after a restart. One write decides who asks for its build: the key's record, which has the
// build's ID from the beginning, so that whoever comes after a crash asks for no other.

// keyHeader is the header that has the key.
const keyHeader = "Idempotency-Key"

// replayedHeader tells that an answer was given before.
const replayedHeader = "Idempotency-Replayed"

const (
	// maxKeyBytes is far above a UUID, which most keys are.
	maxKeyBytes = 255
	// keyPause is added to storeTimeout for how long a call is under way at most, by NATS's clock.
	keyPause = 2 * time.Second
)

// idempotencyKey reads the key of a call, or "" for none: a string as RFC 8941 has them, or, as most send it, without quotes.
func idempotencyKey(h http.Header) (string, *refusal) {
	values := h.Values(keyHeader)
	if len(values) == 0 {
		return "", nil
	}
	bad := func(why string) (string, *refusal) {
		return "", refuse(http.StatusBadRequest, "header %s: %s: send one string of 1 to %d printable ASCII characters, such as a UUID, another for each call that is not the same", keyHeader, why, maxKeyBytes)
	}
	if len(values) > 1 {
		return bad("is there several times")
	}
	key := values[0]
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		if key, ok = unquote(quoted); !ok {
			return bad("begins with a quote and is no quoted string")
		}
	}
	switch {
	case key == "":
		return bad("is empty")
	case len(key) > maxKeyBytes:
		return bad("is too long")
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
		return bad("has a character that is not printable ASCII")
	}
	return key, nil
}

// unquote reads a string of RFC 8941 behind its first quote.
func unquote(s string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return out.String(), i == len(s)-1
		case s[i] == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
		}
		out.WriteByte(s[i])
	}
	return "", false
}

// KeptCalls is where calls with a key are known by it.
type KeptCalls interface {
	// Current is what is kept under a name; queue.ErrNotFound for nothing.
	Current(ctx context.Context, name string) (queue.Entry[messages.KeyedCall], error)
	// Create keeps what is not there, or returns queue.ErrExists; Update changes what was not changed since, or returns
	// queue.ErrMoved.
	Create(ctx context.Context, name string, c messages.KeyedCall) (uint64, error)
	Update(ctx context.Context, name string, c messages.KeyedCall, revision uint64) (uint64, error)
	// Info has the time by which entries are stamped.
	Info(ctx context.Context) (queue.StreamInfo, error)
}

var _ KeptCalls = (*queue.Records[messages.KeyedCall])(nil)

// keyedCall is a call with a key, on its way to an answer.
type keyedCall struct {
	p    *Producer
	ctx  context.Context //nolint:containedctx // of its storing: a sender that hangs up doesn't undo what it asked for
	name string          // that it is kept under
	kept messages.KeyedCall
}

// takeKeyed is take for a call with a key. replayed tells that the answer was given before.
func (p *Producer) takeKeyed(r *http.Request, who, key string, c *call, received time.Time) (builds []acceptedBuild, replayed bool, no *refusal) {
	if p.calls == nil {
		return nil, false, unkept(queue.ErrUndeclared)
	}
	ctx, cancel := p.keyContext(r)
	defer cancel()
	name := sha256.Sum256([]byte(who + "\x00" + key))
	k := &keyedCall{p: p, ctx: ctx, name: hex.EncodeToString(name[:])}
	print := c.fingerprint()
	e, err := p.calls.Current(ctx, k.name)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		builds, no = k.first(r, who, print, c, received)
		return builds, false, no
	case errors.Is(err, messages.ErrMalformed):
		return nil, false, refuse(http.StatusConflict, "what is kept of this %s can't be read: send the call with another key", keyHeader)
	case err != nil:
		return nil, false, unkept(err)
	case e.Value.Fingerprint != print:
		return nil, false, refuse(http.StatusUnprocessableEntity, "header %s: this key came with another body before: give each call that is not the same a key of its own", keyHeader)
	}
	k.kept = e.Value
	if k.kept.Answer != nil {
		var b acceptedBuild
		if err := json.Unmarshal(k.kept.Answer, &b); err != nil {
			return nil, false, refuse(http.StatusConflict, "what is kept of this %s can't be read: send the call with another key", keyHeader)
		}
		return []acceptedBuild{b}, true, nil
	}
	builds, no = k.again(r, who, e, c, received)
	return builds, false, no
}

// keyContext bounds what is done with what is kept of a call.
func (p *Producer) keyContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), 2*p.storeTimeout)
}

// first asks for a build under a key that is not known.
func (k *keyedCall) first(r *http.Request, who, print string, c *call, received time.Time) ([]acceptedBuild, *refusal) {
	q, no := k.p.requestOf(r.Context(), c, who, received)
	if no != nil {
		return nil, no // nothing was done under the key: it can be used again
	}
	var cancel context.CancelFunc
	k.ctx, cancel = k.p.keyContext(r) // the look at the repository may have taken longer than that
	defer cancel()
	k.kept = messages.KeyedCall{Fingerprint: print, Build: q.Build, Ref: q.FullRef(), Commit: q.Commit}
	revision, err := k.p.calls.Create(k.ctx, k.name, k.kept)
	if errors.Is(err, queue.ErrExists) {
		return nil, underWay(retrySoon)
	}
	if err != nil {
		return nil, unkept(err)
	}
	return k.store(r, q, revision)
}

// again finishes a call of which no answer is known: the producer that took it ended, or could not store it. It is
// left alone for as long as that one may be at it.
func (k *keyedCall) again(r *http.Request, who string, e queue.Entry[messages.KeyedCall], c *call, received time.Time) ([]acceptedBuild, *refusal) {
	info, err := k.p.calls.Info(k.ctx)
	if err != nil {
		return nil, unkept(err)
	}
	if left := k.p.underWayFor() - info.Now.Sub(e.Created); left > 0 {
		return nil, underWay(left)
	}
	q, no := k.p.requestAt(c, who, received, e.Value.Ref, e.Value.Commit)
	if no != nil {
		return nil, no
	}
	q.Build = e.Value.Build
	revision, err := k.p.calls.Update(k.ctx, k.name, k.kept, e.Revision)
	if errors.Is(err, queue.ErrMoved) {
		return nil, underWay(retrySoon)
	}
	if err != nil {
		return nil, unkept(err)
	}
	stored, err := k.p.queue.Stored(k.ctx, q.Build)
	if errors.Is(err, queue.ErrNotFound) {
		return k.store(r, q, revision)
	}
	if err != nil {
		return nil, unkept(err)
	}
	return k.answer(accepted(q, stored), revision), nil
}

func (k *keyedCall) store(r *http.Request, q *messages.BuildRequested, revision uint64) ([]acceptedBuild, *refusal) {
	builds, no := k.p.store(r, []*messages.BuildRequested{q})
	if no != nil {
		return nil, no.after(max(no.retry, k.p.underWayFor())) // sooner it would be said to be under way
	}
	return k.answer(builds[0], revision), nil
}

// answer keeps the answer. Where it can't, who comes again finds the build.
func (k *keyedCall) answer(b acceptedBuild, revision uint64) []acceptedBuild {
	text, err := json.Marshal(b)
	if err == nil {
		k.kept.Answer = text
		_, err = k.p.calls.Update(k.ctx, k.name, k.kept, revision)
	}
	if err != nil {
		k.p.log.Warn().Err(err).Str("build", b.Build).Msg("the answer to a call with an Idempotency-Key is not kept: the same call finds its build")
	}
	return []acceptedBuild{b}
}

// underWayFor is how long a call may be under way.
func (p *Producer) underWayFor() time.Duration { return p.storeTimeout + p.keyPause }

func underWay(left time.Duration) *refusal {
	return refuse(http.StatusConflict, "a call with this %s is under way: send it again to have its answer", keyHeader).after(max(left, time.Second))
}

func unkept(err error) *refusal {
	if errors.Is(err, queue.ErrUndeclared) || errors.Is(err, queue.ErrForbidden) {
		return refuse(http.StatusServiceUnavailable, "an %s can't be kept in this installation: start a controller of this version, and renew the credentials by 'fenceline init' where they are older; without the header the call is taken", keyHeader)
	}
	if errors.Is(err, queue.ErrFull) {
		return refuse(http.StatusServiceUnavailable, "there is no room for another %s: the oldest go after a day; without the header the call is taken", keyHeader).after(retryLater)
	}
	return refuse(http.StatusServiceUnavailable, "what became of this %s can't be looked up, NATS does not answer now: send it again", keyHeader).after(retrySoon)
}

// fingerprint is that of what a call asks for, however it is written.
func (c *call) fingerprint() string {
	b, _ := json.Marshal(c) // a struct of strings always marshals
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
