package producer

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/suggest"
)

// route is one thing that the producer serves, and what the document of its API says of it: there is no route that
// the document doesn't have.
type route struct {
	method, path string
	serve        http.HandlerFunc
	kind         string // of what comes there, in audit events; "" for what asks for nothing

	id, summary, description string
	tag                      string
	secured                  []string // any one of these proves who asks: header names, bearerScheme or basicScheme; none: anybody may
	headers                  []headerField
	body                     any         // the zero value of its type; nil for none
	bodyKinds                []string    // content types
	answers                  map[int]any // by status, the zero values of their types
}

// headerField is a header that a request may have.
type headerField struct{ name, description string }

// Beside headers, what proves who asks.
const (
	bearerScheme = "Bearer"
	basicScheme  = "Basic"
)

const (
	tagHooks      = "webhooks"
	tagRegistries = "registries"
	tagCalls      = "calls"
	tagState      = "state"
)

// What comes, in audit events.
const (
	kindWebhook      = "webhook"
	kindNotification = "notification" // of a registry
	kindCall         = "call"
	kindStray        = "stray" // where nothing is taken
)

const (
	kindJSON = "application/json"
	kindForm = "application/x-www-form-urlencoded"
)

// routes lists all that is served.
func (p *Producer) routes() []route {
	all := make([]route, 0, len(forges())+len(p.ownRoutes()))
	for _, f := range forges() {
		all = append(all, p.hookRoute(f))
	}
	for _, f := range registryForms() {
		all = append(all, p.registryRoutes(f)...)
	}
	return append(all, p.ownRoutes()...)
}

// refused adds the answers of refusals to those of a route.
func refused(answers map[int]any, statuses ...int) map[int]any {
	for _, s := range statuses {
		answers[s] = refusalAnswer{}
	}
	return answers
}

func (p *Producer) hookRoute(f forge) route {
	h := &hooks{Producer: p, forge: f, keys: func() *keyring { return p.inForce.Load().keys[f.name()] }}
	return route{
		method: http.MethodPost, path: "/hooks/" + f.name(), serve: h.ServeHTTP, kind: kindWebhook, tag: tagHooks,
		id: "hook" + strings.ToUpper(f.name()[:1]) + f.name()[1:], summary: "Take a webhook in " + f.name() + "'s form",
		description: "Verifies the signature over the raw body and stores a build request for each pipeline that builds what was pushed. " +
			"202 means that all of them are durably stored; 200 that nothing is to be built, and why. Who gets a 408, a 5xx or no answer sends it again: what is stored already is a duplicate then.",
		secured: f.signedBy(), body: map[string]any{}, bodyKinds: []string{kindJSON, kindForm},
		answers: refused(map[int]any{http.StatusOK: ignoredAnswer{}, http.StatusAccepted: acceptedAnswer{}},
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable),
	}
}

func (p *Producer) ownRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: "/v1/builds", serve: p.builds, kind: kindCall, tag: tagCalls,
			id: "requestBuild", summary: "Ask for a build",
			description: "Asks for a build of one pipeline: of the head of a branch or tag, of a commit, or of an uploaded context. 202 means that the request is durably stored.",
			secured:     []string{bearerScheme}, body: call{}, bodyKinds: []string{kindJSON},
			headers: []headerField{{keyHeader, "A string of 1 to 255 printable ASCII characters, such as a UUID. For 24 hours the same key with the same body has the same answer (with " + replayedHeader + ": true), however often it comes; with another body it is refused (422), and while the first one is under way, too (409). Keys of different tokens are different. A call that was refused leaves its key free."}},
			answers: refused(map[int]any{http.StatusAccepted: acceptedAnswer{}},
				http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict,
				http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable),
		},
		{
			method: http.MethodGet, path: "/v1/pipelines", serve: p.servePipelines, kind: kindCall, tag: tagState,
			id: "pipelines", summary: "Tell which pipelines are in force",
			description: "Tells the pipelines of the pipeline file that is in force, and why a newer one can't be used.",
			secured:     []string{bearerScheme},
			answers:     refused(map[int]any{http.StatusOK: FileState{}}, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests),
		},
		{
			method: http.MethodGet, path: "/v1/openapi.json", serve: p.serveDocument, tag: tagState,
			id: "openapi", summary: "Tell what the producer serves", description: "This document.",
			answers: map[int]any{http.StatusOK: map[string]any{}},
		},
		{
			method: http.MethodGet, path: "/healthz", serve: func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, health{OK: true}) }, tag: tagState,
			id: "health", summary: "Tell that the producer answers", description: "Says that the process runs and answers, and nothing of what it needs.",
			answers: map[int]any{http.StatusOK: health{}},
		},
		{
			method: http.MethodGet, path: "/readyz", serve: p.readyz, tag: tagState,
			id: "ready", summary: "Tell whether build requests can be stored", description: "503 while the queue takes no build request, with what is wrong.",
			answers: map[int]any{http.StatusOK: health{}, http.StatusServiceUnavailable: health{}},
		},
	}
}

func (p *Producer) mux() *http.ServeMux {
	mux := http.NewServeMux()
	methods := map[string]string{"/hooks": http.MethodPost, "/hooks/": http.MethodPost}
	for _, r := range p.routes() {
		mux.HandleFunc(r.method+" "+r.path, p.audited(r.kind, r.path, r.serve))
		if !strings.HasPrefix(r.path, "/hooks/") && !strings.HasPrefix(r.path, "/registries/") {
			methods[r.path] = r.method
		}
	}
	// With and without the slash, as the mux would redirect from one to the other.
	for _, at := range []string{"/hooks", "/hooks/"} {
		mux.HandleFunc("POST "+at, p.audited(kindWebhook, "/hooks/", otherHook))
	}
	for _, at := range []string{"/registries", "/registries/"} {
		mux.HandleFunc(at, p.audited(kindNotification, "/registries/", otherRegistry))
	}
	p.elsewhere(mux, methods)
	return mux
}

// otherHook refuses what goes to the address of no forge.
func otherHook(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close") // the body is not worth reading
	known := forgeNames()
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/hooks"), "/")
	small := strings.ToLower(name)
	other, called := otherForgeCalled(name)
	switch {
	case called:
		refuse(http.StatusNotFound, "%s", other).write(w)
	case name == "":
		refuse(http.StatusNotFound, "the URL ends before the forge: end it in /hooks/ and one of %s", strings.Join(known, ", ")).write(w)
	case slices.Contains(known, small):
		refuse(http.StatusNotFound, "the forge %q is written in small letters here: end the webhook's URL in /hooks/%s", name, small).write(w)
	default:
		refuse(http.StatusNotFound, "there is no forge %q%s (known: %s)", clip(name), suggest.DidYouMean(small, known), strings.Join(known, ", ")).write(w)
	}
}

// atCleanPath has requests served at the path that is meant: //hooks/github/ is /hooks/github, and * is none. A mux redirects to
// it, which forges don't follow with the body, and nobody would be told of.
func atCleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		clean := path.Clean("/" + escaped)
		plain, err := url.PathUnescape(clean)
		if clean != escaped && err == nil {
			at := *r.URL
			at.Path, at.RawPath = plain, clean
			r = r.WithContext(r.Context())
			r.URL, r.RequestURI = &at, at.RequestURI()
		}
		next.ServeHTTP(w, r)
	})
}

// elsewhere answers what none of the routes takes, as they answer: in JSON, with what to do. It is given the method
// that each path takes.
func (p *Producer) elsewhere(mux *http.ServeMux, methods map[string]string) {
	for at, method := range methods {
		told := at
		if at == "/hooks" {
			told = "/hooks/"
		}
		mux.HandleFunc(at, p.audited(kindStray, told, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", method)
			w.Header().Set("Connection", "close")
			refuse(http.StatusMethodNotAllowed, "%s takes %s, not %s", clip(r.URL.Path), method, clip(r.Method)).write(w)
		}))
	}
	mux.HandleFunc("/", p.audited(kindStray, "/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		refuse(http.StatusNotFound, "there is nothing at %q: webhooks go to /hooks/FORGE, registries' notifications to /registries/FORM, calls to /v1/builds", clip(r.URL.EscapedPath())).write(w)
	}))
}
