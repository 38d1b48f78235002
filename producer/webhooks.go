package producer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
)

// hooks takes the webhooks of one forge.
type hooks struct {
	*Producer
	forge forge
	keys  func() *keyring // of the pipelines in force
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	var d delivery
	builds, no := h.take(w, r, &d)
	log := h.log.Info()
	ignored, stranger := d.whyIgnored()
	switch {
	case no != nil:
		if log = h.log.Warn(); no.status >= 500 {
			log = h.log.Error()
		}
		log = log.Int("status", no.status).Str("reason", no.reason)
		no.write(w)
	case len(builds) == 0:
		log = log.Int("status", http.StatusOK).Str("ignored", ignored)
		writeJSON(w, http.StatusOK, ignoredAnswer{Ignored: ignored, Unknown: stranger, Ping: d.tested})
	default:
		log = log.Int("status", http.StatusAccepted)
		each := zerolog.Arr()
		for _, b := range builds {
			each.Dict(zerolog.Dict().Str("build", b.Build).Uint64("order", b.Order).Bool("duplicate", b.Duplicate).Str("matched", b.Matched))
		}
		log = log.Array("builds", each)
		if ignored != "" {
			log = log.Str("ignored", ignored)
		}
		writeJSON(w, http.StatusAccepted, acceptedAnswer{Builds: builds, Ignored: ignored})
		_ = http.NewResponseController(w).Flush() // the sender does not wait for the log
	}
	d.note(noteOf(r.Context()), builds, ignored)
	d.log(log)
	tracing.Logged(log, noteOf(r.Context()).traceID()).Str("forge", h.forge.name()).Str("event", clip(d.kind)).Str("delivery", clip(d.id)).
		Str("from", r.RemoteAddr).Dur("took", h.now().Sub(start)).Msg("webhook")
}

// note tells of a delivery, for its audit event.
func (d *delivery) note(n *note, builds []acceptedBuild, ignored string) {
	n.builds(builds)
	n.call.Delivery = d.name()
	if n.call.Why == "" { // it is not refused
		n.call.Why = ignored
	}
	if len(d.events) > 0 {
		n.call.By = clip(d.events[0].pusher)
	}
}

// whyIgnored says why nothing, or not everything, is built of a delivery, each reason once; "" where all of it
// is. stranger is that no pipeline has its repository.
func (d *delivery) whyIgnored() (reasons string, stranger bool) {
	if d.ignored != "" {
		return d.ignored, false
	}
	var all []string
	for i := range d.events {
		e := &d.events[i]
		stranger = stranger || e.stranger
		if e.ignored != "" && !slices.Contains(all, e.ignored) {
			all = append(all, e.ignored)
		}
		if len(all) == maxReasons {
			break
		}
	}
	return strings.Join(all, "; "), stranger
}

const (
	// maxReasons bounds how many reasons an answer has, and a line of the log, pushes.
	maxReasons = 20
	// maxRequests bounds how many builds one webhook can ask for, so that they are stored while its sender waits.
	maxRequests = 1000
)

// log adds what was pushed to a line of the log.
func (d *delivery) log(line *zerolog.Event) {
	if len(d.events) == 1 {
		d.events[0].log(line)
		return
	}
	all := zerolog.Arr()
	for i := range d.events[:min(len(d.events), maxReasons)] {
		one := zerolog.Dict()
		d.events[i].log(one)
		all.Dict(one)
	}
	if len(d.events) > 0 {
		line.Array("pushes", all).Int("refs", len(d.events))
	}
}

func (e *event) log(line *zerolog.Event) {
	line.Str("ref", clip(e.ref)).Str("before", clip(e.before)).Str("commit", clip(e.commit))
	if e.forced {
		line.Bool("forced", true)
	}
}

// take verifies a webhook, reads it, and stores what it asks for. d is set as far as known.
func (h *hooks) take(w http.ResponseWriter, r *http.Request, d *delivery) ([]acceptedBuild, *refusal) {
	received := h.now()
	signed, no := h.proof(w, r, d)
	if signed == nil {
		return nil, no
	}
	body, no := h.readBody(w, r, maxHookBytes)
	if no != nil {
		return nil, no
	}
	defer body.release()
	pipelines, payload, err := h.verified(r.Header, body.bytes, signed)
	if len(pipelines) == 0 {
		return nil, refuse(http.StatusUnauthorized, "%sthe signature does not match: give the webhook the same secret as in the pipeline's secret_file, and list %s in its webhook.forges if it lists any", misaddressed(r.Header, h.forge.name()), h.forge.name())
	}
	// From here on the sender is known.
	keep(r.Context())
	if err == nil {
		*d, err = h.read(r, payload)
	}
	if errors.Is(err, errDecodingTooMany) {
		return nil, refuse(http.StatusServiceUnavailable, "%v: send it again", err).after(retrySoon)
	}
	if err != nil {
		if kind := oddContentType(r.Header); kind != "" {
			err = fmt.Errorf("%w (it is sent as %s: choose application/json in the webhook's settings)", err, kind)
		}
		return nil, refuse(http.StatusBadRequest, "%s%v", misaddressed(r.Header, h.forge.name()), err)
	}
	if d.ping != nil {
		d.tested = d.ping.answer(r.Header, pipelines)
		d.ignored = d.tested.sentence()
	}
	if d.ignored != "" {
		return nil, nil
	}
	if no := h.crowded(d, pipelines); no != nil {
		return nil, no
	}
	requests := d.requests(h.forge.name(), pipelines, received, h.asking(r.Context()))
	switch n := len(requests); {
	case n == 0:
		return nil, nil
	case n > maxRequests:
		return nil, refuse(http.StatusUnprocessableEntity, "the push asks for more than the %d builds that are stored for one webhook at most: none is stored; push fewer refs at a time", maxRequests)
	}
	h.repositories.spend(string(placeOf(requests[0].Pipeline.Repository)), float64(len(requests)), received)
	return h.store(r, requests)
}

const (
	// muchToDecode is the size from which payloads are decoded one after the other: decoded they can take several times as
	// much memory.
	muchToDecode = 1 << 20
	// decodeTimeout is how long one waits for its turn.
	decodeTimeout = 4 * time.Second
)

// errDecodingTooMany tells that other large payloads were decoded for too long.
var errDecodingTooMany = errors.New("too many large webhooks at once")

// read reads a payload, a large one when it is its turn.
func (h *hooks) read(r *http.Request, payload []byte) (delivery, error) {
	if len(payload) > muchToDecode {
		ctx, cancel := context.WithTimeout(r.Context(), decodeTimeout)
		defer cancel()
		if h.decoding.Acquire(ctx, 1) != nil {
			return delivery{}, errDecodingTooMany
		}
		defer h.decoding.Release(1)
	}
	return h.forge.read(r.Header, payload)
}

// requests are those that a delivery's pushes ask for, up to one more than can be stored. Events of which nothing is
// built get the reason.
func (d *delivery) requests(forge string, pipelines []*declared, received time.Time, ask asker) []*messages.BuildRequested {
	var all []*messages.BuildRequested
	reasons := map[string]string{"": ""} // each is kept once, and no more than are told
	for i := range d.events {
		e := &d.events[i]
		for _, v := range e.verdicts(pipelines, ask) {
			if v.build {
				r := e.request(v)
				r.Received, r.Reason = received.UTC(), d.reason(forge, e)
				all = append(all, r)
			}
		}
		if len(all) > maxRequests {
			return all[:maxRequests+1]
		}
		if said, ok := reasons[e.ignored]; ok || len(reasons) > maxReasons {
			e.ignored = said
		} else {
			reasons[e.ignored] = e.ignored
		}
	}
	return all
}

// proof reads a webhook's signature. Where there is none to be checked, all is said: by the refusal, or by
// what d then says.
func (h *hooks) proof(w http.ResponseWriter, r *http.Request, d *delivery) (proof, *refusal) {
	signed, err := h.forge.proof(r.Header, h.now())
	no := encoded(r.Header)
	if err == nil && no == nil {
		return signed, nil
	}
	w.Header().Set("Connection", "close") // the body is not worth reading
	switch {
	case errors.Is(err, errUnsignedTest):
		d.ignored = err.Error()
		return nil, nil
	case err != nil:
		return nil, refuse(http.StatusUnauthorized, "%snot signed as /hooks/%s needs it: %v", misaddressed(r.Header, h.forge.name()), h.forge.name(), err)
	}
	return nil, no
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
		if d.place != "" && (slices.Contains(places, d.place) || e.hostless != "" && strings.HasSuffix(string(d.place), "/"+e.hostless)) {
			matching = append(matching, d)
		}
	}
	if matching == nil { // places are without the credentials that a URL may have
		where := e.hostless
		if len(places) > 0 {
			where = string(places[0])
		}
		e.ignored = fmt.Sprintf("no pipeline of this webhook's secret builds this repository, %q: compare it with the pipeline's repository", clip(where))
		e.stranger = true
	}
	return matching
}
