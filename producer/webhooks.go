package producer

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// hooks takes the webhooks of one forge.
type hooks struct {
	*Producer
	forge forge
}

// keys are those of the pipelines in force.
func (h *hooks) keys() *keyring { return h.inForce.Load().keys[h.forge.name()] }

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
		writeJSON(w, http.StatusOK, answer{Ignored: e.ignored, Unknown: e.stranger})
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
		if other, ok := senderUnsupported(r.Header); ok {
			return nil, refuse(http.StatusUnauthorized, "not signed as /hooks/%s needs it: %s", h.forge.name(), other.instead())
		}
		return nil, refuse(http.StatusUnauthorized, "not signed as /hooks/%s needs it: %v", h.forge.name(), err)
	}
	body, no := h.readBody(w, r, maxHookBytes)
	if no != nil {
		return nil, no
	}
	defer body.release()
	pipelines, payload, err := h.verified(r.Header, body.bytes, signed)
	if len(pipelines) == 0 {
		return nil, refuse(http.StatusUnauthorized, "the signature does not match: give the webhook the same secret as in the pipeline's secret_file, and list %s in its webhook.forges if it lists any", h.forge.name())
	}
	// From here on the sender is known.
	keep(r.Context())
	if err == nil {
		*e, err = h.forge.event(r.Header, payload)
	}
	if err != nil {
		if other, ok := senderUnsupported(r.Header); ok {
			return nil, refuse(http.StatusBadRequest, "%s", other.instead())
		}
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	if e.ignored != "" {
		return nil, nil
	}
	if e.ping {
		e.answerPing(pipelines)
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

// verified returns the pipelines whose secret signed a body, and its payload, which a form has in a
// field. The error tells why a body that is signed has none. GitHub signs the form, Gitea what is in
// it. The body is decoded in its place.
func (h *hooks) verified(header http.Header, body []byte, signed proof) (pipelines []*declared, payload []byte, err error) {
	pipelines = h.keys().verify(body, signed)
	if !isForm(header, body) {
		return pipelines, body, nil
	}
	if payload, err = formPayload(body); err == nil && len(pipelines) == 0 {
		pipelines = h.keys().verify(payload, signed)
	}
	return pipelines, payload, err
}

// of returns those of the pipelines that build the event's repository, or sets why none does.
func (e *event) of(pipelines []*declared) []*declared {
	places := make([]place, len(e.repositories))
	for i, u := range e.repositories {
		places[i] = placeOf(u)
	}
	var matching []*declared
	for _, d := range pipelines {
		if d.place != "" && slices.Contains(places, d.place) {
			matching = append(matching, d)
		}
	}
	if matching == nil { // places are without the credentials that a URL may have
		e.ignored = fmt.Sprintf("no pipeline of this webhook's secret builds this repository, %q", clip(string(places[0])))
		e.stranger = true
	}
	return matching
}

// match returns those of the pipelines that build what was pushed, or sets why none does.
func (e *event) match(pipelines []*declared) []*declared {
	pipelines = e.of(pipelines)
	if pipelines == nil {
		return nil
	}
	branch := strings.TrimPrefix(e.ref, "refs/heads/")
	var matching []*declared
	for _, d := range pipelines {
		if branch == d.pipeline.Branch {
			matching = append(matching, d)
		}
	}
	if matching == nil {
		e.ignored = fmt.Sprintf("no pipeline of this webhook's secret builds branch %q", clip(branch))
	}
	return matching
}

// answerPing sets what becomes of a push that is sent as the ping was.
func (e *event) answerPing(pipelines []*declared) {
	if len(e.repositories) > 0 {
		if pipelines = e.of(pipelines); pipelines == nil {
			e.ignored = "a ping, but a push would be ignored: " + e.ignored
			return
		}
	}
	taken := make([]string, len(pipelines))
	for i, d := range pipelines {
		taken[i] = fmt.Sprintf("branch %s for pipeline %s", clip(d.pipeline.Branch), d.pipeline.Name)
	}
	e.ignored = "a ping: a push would be taken, of " + strings.Join(taken, ", ")
}
