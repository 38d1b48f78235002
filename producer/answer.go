package producer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// acceptedBuild is a stored build request, in an answer.
type acceptedBuild struct {
	Build     string `json:"build"`
	Order     uint64 `json:"order"`
	Pipeline  string `json:"pipeline"`
	Ref       string `json:"ref,omitempty"`
	Commit    string `json:"commit,omitempty"`
	Matched   string `json:"matched,omitempty"` // what in the pipeline takes the push, and what of it is not known
	Duplicate bool   `json:"duplicate"`         // the build was asked for before
	Ended     string `json:"ended,omitempty"`   // how that build ended, if it has: nothing is built anew
	Repeats   string `json:"repeats,omitempty"` // the earlier build of the same push, without an image, that this new one is in place of
}

// answer is the body of every answer about builds.
type answer struct {
	Builds  []acceptedBuild `json:"builds,omitempty"`
	Ignored string          `json:"ignored,omitempty"`            // why nothing is built, or not everything where there are builds
	Unknown bool            `json:"unknown_repository,omitempty"` // that is why: no pipeline has it, so no push of it is built
	Ping    *pingAnswer     `json:"ping,omitempty"`               // of a test delivery: what a push would meet
	Error   string          `json:"error,omitempty"`
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
	writeJSON(w, r.status, answer{Error: r.reason})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // cannot be: the types here always marshal
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a sender that is gone asks again
}
