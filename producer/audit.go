package producer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
)

// Audit events tell of every call: who, what, what became of it, and why. They are stored beside the answers, many at a
// time, so that no sender waits for them. Calls of strangers are counted only, so that a flood of them is a few rows.

const (
	// auditMost bounds the calls that wait to be stored. More are lost, and their number told.
	auditMost = 4096
	// auditBatch bounds those of one event, far below NATS's limit of a message.
	auditBatch = 200
	// auditEvery is the time between writes, and refusalsEvery between those of what strangers were refused.
	auditEvery    = time.Second
	refusalsEvery = time.Minute
	// refusalRows bounds the rows that have an address. Others are counted together, by path and status.
	refusalRows = 40
	// auditedBuilds bounds how many builds of one call are listed.
	auditedBuilds = 20
	// maxWhy bounds why a call was refused or ignored, in bytes.
	maxWhy       = 500
	auditTimeout = 10 * time.Second
)

// AuditLog is where audit events are kept.
type AuditLog interface {
	// Publish returns when the event is stored.
	Publish(ctx context.Context, traceparent string, p messages.Payload) error
}

var _ AuditLog = (*queue.Client)(nil)

// note is what handlers know of a request, for its audit event.
type note struct {
	known  bool // its sender proved who it is
	status int
	reads  bool // it asks for no build
	call   messages.AuditedCall

	span        *tracing.Span
	traceparent string // of what it asks for
}

// noteKey is where a request's context has its note.
type noteKey struct{}

// noteOf is the note of a request; one that nobody reads where it has none.
func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return new(note)
}

// noting is a ResponseWriter that notes the status, and why a request is refused.
type noting struct {
	http.ResponseWriter
	*note
}

func (w noting) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w noting) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// audited has serve's requests told of, and those refused that come from an address of which nothing good came. The path is that of the route: a request's own may have a secret in it.
func (p *Producer) audited(what, path string, serve http.HandlerFunc) http.HandlerFunc {
	if what == "" {
		return serve
	}
	return func(w http.ResponseWriter, r *http.Request) {
		n := &note{reads: r.Method == http.MethodGet || r.Method == http.MethodHead}
		ctx := n.begin(p.tracer, r, path)
		p.guarded(serve)(noting{w, n}, r.WithContext(context.WithValue(ctx, noteKey{}, n)))
		n.call.At, n.call.What, n.call.Path, n.call.Status = p.now().UTC(), what, path, n.status
		switch {
		case n.status >= http.StatusBadRequest:
			n.call.Outcome = messages.OutcomeRefused
		case len(n.call.Builds) == 0 && n.call.Why != "":
			n.call.Outcome = messages.OutcomeIgnored
		default:
			n.call.Outcome = messages.OutcomeAccepted
		}
		p.metrics.Came(sourceOf(what, path), outcomeOf(n))
		if strings.HasSuffix(path, "/") { // it is about what lies below, which is a stranger's word, or a secret that went astray
			n.call.Why = ""
		}
		n.call.Why = messages.Shorten(n.call.Why, maxWhy)
		n.call.From = host(r.RemoteAddr)
		p.audit.add(n, origin(r.RemoteAddr))
		n.traced()
	}
}

// host is the address of a remote end without its port, which tells nobody anything later.
func host(remote string) string {
	if h, _, err := net.SplitHostPort(remote); err == nil {
		return h
	}
	return remote
}

// builds notes what a request asked for.
func (n *note) builds(all []acceptedBuild) {
	for _, b := range all[:min(len(all), auditedBuilds)] {
		n.call.Builds = append(n.call.Builds, b.Build)
	}
	n.call.More = max(0, len(all)-auditedBuilds)
}

// refusalKey is what rows of strangers' calls are told apart by.
type refusalKey struct {
	what, path, from string
	status           int
}

// auditor collects what is to be told.
type auditor struct {
	to  AuditLog // nil: nobody is told
	log zerolog.Logger
	now func() time.Time

	lock     sync.Mutex
	calls    []messages.AuditedCall
	lost     int64
	refusals map[refusalKey]*messages.Refusals
	since    time.Time // of the first of refusals
	full     chan struct{}

	writing sync.Mutex // held by who writes
	failed  bool       // the last write did; only who writes uses it
}

func newAuditor(to AuditLog, log zerolog.Logger, now func() time.Time) *auditor {
	return &auditor{to: to, log: log, now: now, refusals: map[refusalKey]*messages.Refusals{}, full: make(chan struct{}, 1)}
}

// add takes in a request that was answered.
func (a *auditor) add(n *note, origin string) {
	if a.to == nil {
		return
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	if !n.known {
		a.count(n, origin)
		return
	}
	if len(a.calls) == auditMost {
		a.lost++
		return
	}
	a.calls = append(a.calls, n.call)
	if len(a.calls) >= auditBatch {
		select {
		case a.full <- struct{}{}:
		default:
		}
	}
}

func (a *auditor) count(n *note, origin string) {
	key := refusalKey{n.call.What, n.call.Path, origin, n.status}
	if a.refusals[key] == nil && len(a.refusals) >= refusalRows {
		key.from = ""
	}
	row := a.refusals[key]
	if row == nil {
		if len(a.refusals) == 0 {
			a.since = n.call.At
		}
		row = &messages.Refusals{What: key.what, Path: key.path, From: key.from, Status: key.status, Why: n.call.Why}
		a.refusals[key] = row
	}
	row.Count++
}

// run writes from time to time, until ctx ends.
func (a *auditor) run(ctx context.Context) {
	if a.to == nil {
		return
	}
	calls, refusals := time.NewTicker(auditEvery), time.NewTicker(refusalsEvery)
	defer calls.Stop()
	defer refusals.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-refusals.C:
			a.write(ctx, true)
		case <-calls.C:
			a.write(ctx, false)
		case <-a.full:
			a.write(ctx, false)
		}
	}
}

// write stores what has come. What can't be stored waits for the next time.
func (a *auditor) write(ctx context.Context, refusals bool) {
	a.writing.Lock()
	defer a.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	err := a.writeCalls(ctx)
	if refusals {
		err = errors.Join(err, a.writeRefusals(ctx))
	}
	if err != nil && !a.failed && !errors.Is(err, context.Canceled) {
		a.log.Warn().Err(err).Msg("audit events can't be stored: they wait, as many as there is room for; start a controller of this version, and renew the credentials by 'fenceline init' where they are older")
	}
	a.failed = err != nil
}

func (a *auditor) writeCalls(ctx context.Context) error {
	for {
		a.lock.Lock()
		n, lost := min(len(a.calls), auditBatch), a.lost
		batch := a.calls[:n:n]
		a.lock.Unlock()
		if n == 0 && lost == 0 {
			return nil
		}
		err := a.to.Publish(ctx, "", &messages.CallsAudited{Calls: batch, Lost: lost})
		dropped := int64(0)
		if errors.Is(err, queue.ErrTooLarge) && n > 0 { // a server with a small limit of messages, for ever
			err, lost, dropped = nil, 0, int64(n)
		}
		if err != nil {
			return err
		}
		a.lock.Lock()
		a.calls, a.lost = append([]messages.AuditedCall(nil), a.calls[n:]...), a.lost-lost+dropped
		a.lock.Unlock()
	}
}

func (a *auditor) writeRefusals(ctx context.Context) error {
	a.lock.Lock()
	told := &messages.RefusalsCounted{Since: a.since, Until: a.now().UTC()}
	for _, row := range a.refusals {
		told.Refusals = append(told.Refusals, *row)
	}
	a.lock.Unlock()
	if len(told.Refusals) == 0 {
		return nil
	}
	if err := a.to.Publish(ctx, "", told); err != nil {
		return err
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	for _, row := range told.Refusals { // others may have come meanwhile
		key := refusalKey{row.What, row.Path, row.From, row.Status}
		if a.refusals[key].Count -= row.Count; a.refusals[key].Count == 0 {
			delete(a.refusals, key)
		}
	}
	a.since = told.Until
	return nil
}

// FlushAudit stores the audit events of all requests that were answered, at the end, when no more are.
func (p *Producer) FlushAudit(ctx context.Context) {
	if p.audit.to != nil {
		p.audit.write(ctx, true)
	}
}
