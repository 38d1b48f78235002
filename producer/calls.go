package producer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
)

// call is the body of POST /v1/builds. With neither a commit nor a context, the head of a
// branch or tag is built: the one that is named, else the pipeline's own branch.
type call struct {
	Pipeline    string `json:"pipeline"`
	Branch      string `json:"branch"`
	Tag         string `json:"tag"`
	Commit      string `json:"commit"`
	Context     string `json:"context"`
	RequestedBy string `json:"requested_by"`
}

// builds serves POST /v1/builds.
func (p *Producer) builds(w http.ResponseWriter, r *http.Request) {
	received := p.now()
	builds, no := p.takeCall(w, r, received)
	if no != nil {
		log := p.log.Warn()
		if no.status >= 500 {
			log = p.log.Error()
		}
		log.Int("status", no.status).Str("reason", no.reason).Str("from", r.RemoteAddr).Msg("call")
		no.write(w)
		return
	}
	b := builds[0]
	p.log.Info().Int("status", http.StatusAccepted).Str("build", b.Build).Uint64("order", b.Order).
		Bool("duplicate", b.Duplicate).Str("from", r.RemoteAddr).Dur("took", p.now().Sub(received)).Msg("call")
	writeJSON(w, http.StatusAccepted, answer{Builds: builds})
}

func (p *Producer) takeCall(w http.ResponseWriter, r *http.Request, received time.Time) ([]acceptedBuild, *refusal) {
	if no := p.authorise(r); no != nil {
		w.Header().Set("Connection", "close") // the body is not worth reading
		return nil, no
	}
	keep(r.Context())
	body, no := p.readBody(w, r, maxCallBytes)
	if no != nil {
		return nil, no
	}
	defer body.release()
	c, err := readCall(body.bytes)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	pipelines := p.inForce.Load().pipelines
	d, ok := pipelines.byName[c.Pipeline]
	if !ok {
		return nil, refuse(http.StatusNotFound, "pipeline: there is no pipeline %q%s", clip(c.Pipeline), suggest.DidYouMean(c.Pipeline, pipelines.names()))
	}
	q := &messages.BuildRequested{
		Build: messages.NewBuildID(d.pipeline.Name), Pipeline: d.pipeline, Commit: c.Commit, Context: c.Context,
		Cause: messages.CausePerson, RequestedBy: clip(c.RequestedBy), Received: received.UTC(),
	}
	if c.Commit == "" && c.Context == "" {
		ref, no := c.ref(d)
		if no != nil {
			return nil, no
		}
		q.SetRef(ref)
		if q.Commit, no = p.lookUp(r.Context(), &q.Pipeline, q.Tag); no != nil {
			return nil, no
		}
	}
	return p.store(r, []*messages.BuildRequested{q})
}

// ref is the full name of the branch or tag whose head is to be built.
func (c *call) ref(d *declared) (string, *refusal) {
	ref, field := branchRefs+d.pipeline.Branch, ""
	switch {
	case c.Branch != "":
		ref, field = branchRefs+c.Branch, "branch"
	case c.Tag != "":
		ref, field = tagRefs+c.Tag, "tag"
	}
	if _, ok := d.takesRef(ref); ok {
		return ref, nil
	}
	built := fmt.Sprintf("pipeline %s builds %s", d.pipeline.Name, clip(d.pipeline.Refs()))
	if field == "" {
		return "", refuse(http.StatusUnprocessableEntity, "%s, and none of them is meant by itself: name a branch, a tag or a commit", built)
	}
	return "", refuse(http.StatusUnprocessableEntity, "%s: %s: name one of these, or give the commit", field, built)
}

// authorise refuses callers without the token. Hashes are compared, so that not even the
// token's length shows.
func (p *Producer) authorise(r *http.Request) *refusal {
	if p.token.IsZero() {
		return refuse(http.StatusForbidden, "calls are switched off: start the producer with a token file")
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || given == "" {
		return refuse(http.StatusUnauthorized, "header Authorization is missing or is not Bearer TOKEN")
	}
	have, want := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(p.token.Reveal()))
	if subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
		return refuse(http.StatusUnauthorized, "the token is wrong: use the producer's own (its token file)")
	}
	return nil
}

// readCall decodes a call strictly: a field that is misspelt would otherwise build something else.
func readCall(body []byte) (call, error) {
	var c call
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	var wrongType *json.UnmarshalTypeError
	err := dec.Decode(&c)
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return c, fmt.Errorf("%s: is a JSON %s where a string was expected", wrongType.Field, wrongType.Value)
	case err != nil && strings.Contains(err.Error(), "unknown field"):
		return c, fmt.Errorf("%s (known: pipeline, branch, tag, commit, context, requested_by)", strings.TrimPrefix(err.Error(), "json: "))
	case err != nil:
		return c, fmt.Errorf("body is not a JSON object such as {\"pipeline\": \"base\"}: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("body has something after the JSON object: send one object")
	}
	if c.Pipeline == "" {
		return c, errors.New("pipeline: is missing: name the pipeline to build")
	}
	var sources []string
	for _, s := range []struct{ field, value string }{{"branch", c.Branch}, {"tag", c.Tag}, {"commit", c.Commit}, {"context", c.Context}} {
		if s.value != "" {
			sources = append(sources, s.field)
		}
	}
	if len(sources) > 1 {
		return c, fmt.Errorf("%s and %s are both set: a build has one source", sources[0], sources[1])
	}
	for _, s := range []struct{ field, value string }{{"branch", c.Branch}, {"tag", c.Tag}} {
		if s.value != "" && messages.CheckBranch(s.value) != nil {
			return c, fmt.Errorf("%s: %q is not the name of one", s.field, clip(s.value))
		}
	}
	if c.Commit != "" {
		if err := messages.CheckCommit(c.Commit); err != nil {
			return c, fmt.Errorf("commit: %w", err)
		}
	}
	if c.Context != "" {
		if err := messages.CheckID("context", c.Context); err != nil {
			return c, fmt.Errorf("context: %w", err)
		}
	}
	return c, nil
}

// lookUp finds the commit at the head of a pipeline's branch, or of a tag, for a caller.
func (p *Producer) lookUp(ctx context.Context, l *messages.Pipeline, tag string) (string, *refusal) {
	remote, err := p.remote(l)
	remote.Tag = tag
	commit := ""
	if err == nil {
		commit, err = git.Head(ctx, remote)
	}
	switch {
	case err == nil:
		return commit, nil
	case errors.Is(err, errNoToken):
		return "", refuse(http.StatusUnprocessableEntity, "%v, or give the commit", err)
	case errors.Is(err, git.ErrNoBranch), errors.Is(err, git.ErrNoTag), errors.Is(err, git.ErrNoRepository), errors.Is(err, git.ErrDenied), errors.Is(err, git.ErrNotAllowed):
		return "", refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	return "", refuse(http.StatusBadGateway, "%v", err).after(retrySoon)
}
