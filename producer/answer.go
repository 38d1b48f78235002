package producer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// What answers have is described by the tags of their fields, which the document of the API shows.

// acceptedBuild is a stored build request, in an answer.
type acceptedBuild struct {
	Build     string       `json:"build" doc:"the build's ID; the earlier one's for a duplicate"`
	Order     uint64       `json:"order" doc:"the number that the request got when it was accepted"`
	Pipeline  string       `json:"pipeline" doc:"the pipeline's name"`
	Ref       string       `json:"ref,omitempty" doc:"the full name of the branch or tag that has the commit, such as refs/heads/main"`
	Commit    string       `json:"commit,omitempty" doc:"the commit's full object name"`
	Matched   string       `json:"matched,omitempty" doc:"what in the pipeline takes the push, and what of it is not known"`
	Reason    reasonAnswer `json:"reason" doc:"what this request came of; a duplicate's build came of an earlier one"`
	Duplicate bool         `json:"duplicate" doc:"the build was asked for before"`
	Ended     string       `json:"ended,omitempty" doc:"how that build ended, if it has: nothing is built anew"`
	Repeats   string       `json:"repeats,omitempty" doc:"the earlier build of the same push, without an image, that this new one is in place of"`
}

// acceptedAnswer is the body of an answer to what is built.
type acceptedAnswer struct {
	Builds  []acceptedBuild `json:"builds" doc:"the build requests, each of them stored"`
	Ignored string          `json:"ignored,omitempty" doc:"why not everything is built"`
}

// ignoredAnswer is the body of an answer to what leads to no build.
type ignoredAnswer struct {
	Ignored string      `json:"ignored" doc:"why nothing is built"`
	Unknown bool        `json:"unknown_repository,omitempty" doc:"that is why: no pipeline has the repository, so no push of it is built"`
	Ping    *pingAnswer `json:"ping,omitempty" doc:"of a test delivery: what a push would meet"`
}

// refusalAnswer is the body of every other answer.
type refusalAnswer struct {
	Error string `json:"error" doc:"what is wrong, and what mends it"`
	Trace string `json:"trace,omitempty" doc:"the request's trace ID, by which the producer's log has more"`
}

// refusal is an answer other than 2xx.
type refusal struct {
	status int
	reason string
	retry  time.Duration // when to send again; 0 for never the same
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, reason: fmt.Sprintf(format, args...)}
}

func (r *refusal) after(d time.Duration) *refusal { r.retry = d; return r }

func (r *refusal) write(w http.ResponseWriter) {
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.retry.Seconds())))
	}
	if r.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="fenceline"`)
	}
	trace := ""
	if n, ok := w.(noting); ok {
		n.call.Why, trace = r.reason, n.traceID()
	}
	writeJSON(w, r.status, refusalAnswer{Error: r.reason, Trace: trace})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // cannot be: the types here always marshal
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, status, append(b, '\n'))
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kindJSON)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a sender that is gone asks again
}
