package producer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/suggest"
	"github.com/rs/zerolog"
)

// notifications takes those of one form of registry.
type notifications struct {
	*Producer
	form registryForm
}

// lookedAt is a base that was looked at for a notification.
type lookedAt struct {
	Base    string `json:"base" doc:"the base, as a Dockerfile means it"`
	Digest  string `json:"digest,omitempty" doc:"the digest that it names"`
	Changed bool   `json:"changed,omitempty" doc:"whether a pipeline's last build took another one: it is built again, now or in a moment"`
	Later   bool   `json:"later,omitempty" doc:"whether it could not be looked at now. That it is to be is stored"`
}

// notificationAnswer is the answer to a notification that was taken.
type notificationAnswer struct {
	Looked  []lookedAt      `json:"looked,omitempty" doc:"the bases that were looked at"`
	Builds  []acceptedBuild `json:"builds,omitempty" doc:"the builds that were asked for at once"`
	Ignored string          `json:"ignored,omitempty" doc:"why nothing follows"`
}

// registryRoutes are where registries of a form tell of pushes.
func (p *Producer) registryRoutes(f registryForm) []route {
	n := &notifications{p, f}
	r := route{
		method: http.MethodPost, path: "/registries/" + f.name(), serve: n.ServeHTTP, kind: kindNotification, tag: tagRegistries,
		id: "registry" + strings.ToUpper(f.name()[:1]) + f.name()[1:], summary: "Take a registry's notification in " + f.name() + "'s form",
		description: "Has the tags that were pushed looked at, where a pipeline builds on them. 202 means that what follows is durably stored: a build, or that the tag is to be looked at; 200 that nothing follows. " +
			"Who gets a 408, a 5xx or no answer sends it again.",
		secured: f.signedBy(), body: map[string]any{}, bodyKinds: []string{kindJSON},
		answers: refused(map[int]any{http.StatusOK: notificationAnswer{}, http.StatusAccepted: notificationAnswer{}},
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType, http.StatusTooManyRequests, http.StatusServiceUnavailable),
	}
	if len(r.secured) > 0 {
		return []route{r}
	}
	signed := r // by the end of its address
	signed.path, signed.id = r.path+"/{token}", r.id+"Token"
	r.summary, r.answers = "Tell that the address lacks its token", refused(map[int]any{}, http.StatusUnauthorized, http.StatusTooManyRequests)
	return []route{r, signed}
}

// otherRegistry refuses what goes to the address of no registry.
func otherRegistry(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")                                          // the body is not worth reading
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/registries/"), "/") // what follows may be a token
	known := registryFormNames()
	switch i := slices.Index(known, name); {
	case i >= 0 && r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, "/registries/%s takes POST", name).write(w)
		return
	case i >= 0:
		at := name
		if len(registryForms()[i].signedBy()) == 0 {
			at += "/TOKEN"
		}
		refuse(http.StatusNotFound, "there is nothing below /registries/%s but what its notifications are sent to: make the address /registries/%s", name, at).write(w)
		return
	}
	refuse(http.StatusNotFound, "there is no form of registries' notifications %q%s (known: %s)", clip(name), suggest.DidYouMean(name, known), strings.Join(known, ", ")).write(w)
}

func (n *notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := n.now()
	a, no := n.take(w, r)
	log := n.log.Info()
	switch {
	case no != nil:
		if log = n.log.Warn(); no.status >= 500 {
			log = n.log.Error()
		}
		log = log.Int("status", no.status).Str("reason", no.reason)
		no.write(w)
	default:
		status := http.StatusOK
		if slices.ContainsFunc(a.Looked, func(l lookedAt) bool { return l.Changed || l.Later }) {
			status = http.StatusAccepted
		}
		each := zerolog.Arr()
		for _, l := range a.Looked {
			each.Dict(zerolog.Dict().Str("base", l.Base).Str("digest", l.Digest).Bool("changed", l.Changed).Bool("later", l.Later))
		}
		log = log.Int("status", status).Str("ignored", a.Ignored).Array("looked", each).Int("builds", len(a.Builds))
		writeJSON(w, status, a)
	}
	note := noteOf(r.Context())
	note.builds(a.Builds)
	if note.call.Why == "" { // it is not refused
		note.call.Why = a.Ignored
	}
	if note.known {
		note.call.By = "registry " + n.form.name()
	}
	log.Str("registry", n.form.name()).Str("from", r.RemoteAddr).Dur("took", n.now().Sub(start)).Msg("notification")
}

// take verifies a notification, reads it, and does what it asks for.
func (n *notifications) take(w http.ResponseWriter, r *http.Request) (notificationAnswer, *refusal) {
	var a notificationAnswer
	signed, err := n.form.proof(r)
	if err != nil {
		w.Header().Set("Connection", "close") // the body is not worth reading
		return a, refuse(http.StatusUnauthorized, "not signed as /registries/%s needs it: %v", n.form.name(), err)
	}
	if no := encoded(r.Header); no != nil {
		w.Header().Set("Connection", "close")
		return a, no
	}
	keys, most := n.inForce.Load().registries, int64(maxHookBytes)
	if n.form.name() != (ghcrForm{}).name() { // the others' proof needs no body
		most = maxNotificationBytes
		if keys.verify(nil, signed) == nil {
			w.Header().Set("Connection", "close")
			return a, n.stranger()
		}
		keep(r.Context())
	}
	body, no := n.readBody(w, r, most)
	if no != nil {
		return a, no
	}
	defer body.release()
	pipelines := keys.verify(body.bytes, signed)
	if pipelines == nil {
		return a, n.stranger()
	}
	keep(r.Context())
	pushed, ignored, err := n.form.read(r.Header, body.bytes)
	if err != nil {
		return a, refuse(http.StatusBadRequest, "%v", err)
	}
	if pushed = taken(pushed); len(pushed) == 0 {
		a.Ignored = ignored
		return a, nil
	}
	if n.bases == nil {
		return a, refuse(http.StatusServiceUnavailable, "this producer follows no bases").after(retryLater)
	}
	// A sender that hangs up does not undo what it told.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), notificationTime)
	defer cancel()
	return n.bases.told(ctx, pushed, pipelines)
}

func (n *notifications) stranger() *refusal {
	return refuse(http.StatusUnauthorized, "the token does not match: give the registry's %s notifications the same as in a pipeline's rebuild_on.token_file", n.form.name())
}

// lookedMost bounds the bases that are looked at, and the rebuilds that are asked for, while a registry waits: the others follow.
const lookedMost = 16

// told looks at the bases of some pipelines that were pushed, and asks for what follows. What can't be done now is stored.
func (b *baseFollower) told(ctx context.Context, pushed []pushedTag, pipelines []*declared) (notificationAnswer, *refusal) {
	var a notificationAnswer
	began := time.Now()
	sources, ready := b.pushedOf(pushed, pipelines)
	switch {
	case !ready:
		return a, refuse(http.StatusServiceUnavailable, "what the pipelines build on is not known yet, as this producer starts: send it again").after(retrySoon)
	case len(sources) == 0:
		a.Ignored = fmt.Sprintf("no pipeline of this token builds on %s:%s", clip(pushed[0].repository), clip(pushed[0].tag))
		if more := len(pushed) - 1; more > 0 {
			a.Ignored += fmt.Sprintf(", nor on %d more", more)
		}
		return a, nil
	}
	for i, s := range sources {
		err := b.lookOrWant(ctx, s, i < lookedMost && ctx.Err() == nil)
		if err != nil && !errors.Is(err, errLater) {
			b.log.Error().Err(err).Str("base", s.name).Msg("storing what a registry told")
			return notificationAnswer{}, refuse(http.StatusServiceUnavailable, "that %s was pushed could not be stored, the queue (NATS) does not take it now: send it again", s.name).after(retrySoon)
		}
		l := lookedAt{Base: s.name, Later: err != nil}
		a.Builds = append(a.Builds, b.follows(ctx, s, began, &l)...)
		a.Looked = append(a.Looked, l)
	}
	return a, nil
}

// pushedOf are the bases of some pipelines that were pushed; ready is false while it is not known of all what they build on.
func (b *baseFollower) pushedOf(pushed []pushedTag, pipelines []*declared) (out []*followedSource, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := map[string]bool{}
	for _, d := range pipelines {
		p := b.pipelines[d.pipeline.Name]
		if d.rebuild.base && (p == nil || !p.loaded) {
			return nil, false
		}
		of[d.pipeline.Name] = true
	}
	told := map[pushedTag]bool{}
	for _, p := range pushed {
		told[p] = true
	}
	for _, s := range b.sources {
		if !told[s.tag] {
			continue
		}
		for name := range s.users {
			if of[name] {
				out = append(out, s)
				break
			}
		}
	}
	slices.SortFunc(out, func(x, y *followedSource) int { return strings.Compare(x.name, y.name) })
	return out, true
}

// lookPauses are before each further look at a base that seems not to have changed though its registry told so. The CNCF's
// registry tells of a push just before the tag names it.
var lookPauses = []time.Duration{15 * time.Millisecond, 30 * time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond, 400 * time.Millisecond}

// lookLater is after how long such a base is looked at once more.
const lookLater = 2 * time.Second

// lookUntilChanged looks at a base that was told of, again for a moment while it names what it did before. errLater is that it
// still does, and that it is looked at once more is stored.
func (b *baseFollower) lookUntilChanged(ctx context.Context, s *followedSource) error {
	shown := func() string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return s.digest
	}
	before := shown()
	if before == "" { // nobody has looked: it is what a build took
		before = b.tookOf(s)
	}
	if err := b.lookNow(ctx, s); err != nil {
		return err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	for _, pause := range lookPauses {
		if shown() != before {
			return nil
		}
		if !queue.Pause(ctx, pause) {
			break
		}
		if err := b.lookAtOnce(ctx, s); err != nil {
			return err
		}
	}
	if shown() != before {
		return nil
	}
	return b.want(ctx, s, lookLater)
}

// tookOf is the digest that a pipeline's last build took of a base.
func (b *baseFollower) tookOf(s *followedSource) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.usersOf(s) {
		for i := range p.bases {
			if p.bases[i].Source == s.name {
				return p.bases[i].Image.Digest()
			}
		}
	}
	return ""
}

// lookOrWant looks at a base now, or stores that it is to be looked at, for which errLater stands.
func (b *baseFollower) lookOrWant(ctx context.Context, s *followedSource, now bool) error {
	if now {
		return b.lookUntilChanged(ctx, s)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	return b.want(ctx, s, 0)
}

// follows asks for the rebuilds that a base's change leads to at once, and says what it led to.
func (b *baseFollower) follows(ctx context.Context, s *followedSource, began time.Time, l *lookedAt) (accepted []acceptedBuild) {
	b.mu.Lock()
	l.Digest = s.digest
	users := b.usersOf(s)
	var due []*followedPipeline
	for _, p := range users {
		_, outstanding := p.outstanding[s.name]
		asked := p.asked[s.name] == s.digest && p.askedAt.After(began)
		if l.Changed = l.Changed || outstanding || asked; asked || outstanding && !p.fire.IsZero() && !p.fire.After(time.Now()) {
			due = append(due, p)
		}
	}
	b.mu.Unlock()
	for _, p := range due[:min(len(due), lookedMost)] {
		if ctx.Err() != nil {
			break
		}
		_, _ = b.rebuild(ctx, p) // what fails is tried again: the digest is stored, and what was built on is
		b.mu.Lock()
		if p.accepted != nil && p.askedAt.After(began) {
			accepted = append(accepted, *p.accepted)
		}
		b.mu.Unlock()
	}
	return accepted
}
