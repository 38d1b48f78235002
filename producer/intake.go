package producer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/rs/zerolog"
)

const (
	// storeTimeout leaves time to answer within the ten seconds that GitHub and GitLab wait.
	storeTimeout = 8 * time.Second
	retrySoon    = 5 * time.Second
	retryLater   = 60 * time.Second
)

// hooks takes the webhooks of one forge.
type hooks struct {
	*Producer
	forge forge
	keys  *keyring
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	var e event
	builds, no := h.take(w, r, &e)
	log := h.log.Info()
	switch {
	case no != nil:
		if log = h.log.Warn(); no.status >= 500 {
			log = h.log.Error()
		}
		log = log.Int("status", no.status).Str("reason", no.reason)
		no.write(w)
	case e.ignored != "":
		log = log.Int("status", http.StatusOK).Str("ignored", e.ignored)
		writeJSON(w, http.StatusOK, answer{Ignored: e.ignored})
	default:
		log = log.Int("status", http.StatusAccepted).Str("ref", e.ref).Str("commit", e.commit)
		each := zerolog.Arr()
		for _, b := range builds {
			each.Dict(zerolog.Dict().Str("build", b.Build).Uint64("order", b.Order).Bool("duplicate", b.Duplicate))
		}
		log = log.Array("builds", each)
		writeJSON(w, http.StatusAccepted, answer{Builds: builds})
	}
	log.Str("forge", h.forge.name()).Str("event", clip(e.kind)).Str("delivery", clip(e.delivery)).
		Str("from", r.RemoteAddr).Dur("took", h.now().Sub(start)).Msg("webhook")
}

// take verifies a webhook, reads it, and stores what it asks for. e is set as far as known.
func (h *hooks) take(w http.ResponseWriter, r *http.Request, e *event) ([]acceptedBuild, *refusal) {
	received := h.now()
	signed, err := h.forge.proof(r.Header, received)
	if err != nil {
		w.Header().Set("Connection", "close") // the body is not worth reading
		return nil, refuse(http.StatusUnauthorized, "not signed as /hooks/%s needs it: %v", h.forge.name(), err)
	}
	body, no := h.readBody(w, r, maxHookBytes)
	if no != nil {
		return nil, no
	}
	defer body.release()
	pipelines := h.keys.verify(body.bytes, signed)
	if len(pipelines) == 0 {
		return nil, refuse(http.StatusUnauthorized, "the signature does not match: give the webhook the same secret as in the pipeline's secret_file, and list %s in its webhook.forges if it lists any", h.forge.name())
	}
	// From here on the sender is known.
	if *e, err = h.forge.event(r.Header, body.bytes); err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	if e.ignored != "" {
		return nil, nil
	}
	if pipelines = e.match(pipelines); len(pipelines) == 0 {
		return nil, nil
	}
	requests := make([]*messages.BuildRequested, len(pipelines))
	for i, d := range pipelines {
		requests[i] = &messages.BuildRequested{
			Build: messages.NewBuildID(d.pipeline.Name), Pipeline: d.pipeline, Ref: e.ref, Commit: e.commit,
			Cause: messages.CausePush, RequestedBy: clip(e.pusher), Received: received.UTC(),
		}
	}
	return h.store(r, requests)
}

// match returns those of the pipelines that build what was pushed, or sets why none does.
func (e *event) match(pipelines []*declared) []*declared {
	branch := strings.TrimPrefix(e.ref, "refs/heads/")
	places := make([]place, len(e.repositories))
	for i, u := range e.repositories {
		places[i] = placeOf(u)
	}
	var matching []*declared
	known := false
	for _, d := range pipelines {
		if d.place == "" || !slices.Contains(places, d.place) {
			continue
		}
		known = true
		if branch == d.pipeline.Branch {
			matching = append(matching, d)
		}
	}
	switch {
	case matching != nil:
	case known:
		e.ignored = fmt.Sprintf("no pipeline of this webhook's secret builds branch %q", clip(branch))
	default: // places are without the credentials that a URL may have
		e.ignored = fmt.Sprintf("no pipeline of this webhook's secret builds this repository, %q", clip(string(places[0])))
	}
	return matching
}

// store stores all requests, and accepts only when each is known to be stored. When one is
// not, the sender is asked to send again: those that are stored are duplicates then.
func (p *Producer) store(r *http.Request, requests []*messages.BuildRequested) ([]acceptedBuild, *refusal) {
	// A sender that hangs up does not undo what it asked for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), p.storeTimeout)
	defer cancel()
	trace := messages.TraceOf(r.Header.Get("traceparent"))
	builds := make([]acceptedBuild, len(requests))
	failures := make([]error, len(requests))
	one := func(i int) {
		q := requests[i]
		a, err := p.queue.Request(ctx, q, trace)
		builds[i] = acceptedBuild{Build: a.Build, Order: a.Order, Pipeline: q.Pipeline.Name, Commit: q.Commit, Duplicate: a.Duplicate}
		failures[i] = err
	}
	var wg sync.WaitGroup
	for i := range requests[1:] {
		wg.Go(func() { one(i + 1) })
	}
	one(0)
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		p.log.Error().Err(err).Msg("storing build requests")
		if errors.Is(err, queue.ErrFull) {
			return nil, refuse(http.StatusServiceUnavailable, "the queue of build requests is full: nothing is lost if this is sent again once builders have caught up, or the stream's limit is raised").after(retryLater)
		}
		return nil, refuse(http.StatusServiceUnavailable, "the build request could not be stored, the queue (NATS) does not take it now: send it again").after(retrySoon)
	}
	return builds, nil
}
