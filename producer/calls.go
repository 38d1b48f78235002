package producer

import (
	"bytes"
	"cmp"
	"context"
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
	"github.com/fenceline/fenceline/tracing"
)

// call is the body of POST /v1/builds. With neither a commit nor a context, the head of a
// branch or tag is built: the one that is named, else the pipeline's own branch.
type call struct {
	Pipeline    string `json:"pipeline" doc:"the pipeline to build"`
	Branch      string `json:"branch,omitempty" doc:"the branch whose head to build, one that the pipeline builds; its own where nothing is named"`
	Tag         string `json:"tag,omitempty" doc:"the tag to build, one that the pipeline builds"`
	Commit      string `json:"commit,omitempty" doc:"the full object name of the commit to build, in place of a branch or tag"`
	Context     string `json:"context,omitempty" doc:"the name of an uploaded build context, in place of a commit"`
	RequestedBy string `json:"requested_by,omitempty" doc:"who asks, for people"`
}

// builds serves POST /v1/builds.
func (p *Producer) builds(w http.ResponseWriter, r *http.Request) {
	received := p.now()
	builds, replayed, no := p.takeCall(w, r, received)
	if no != nil {
		log := p.log.Warn()
		if no.status >= 500 {
			log = p.log.Error()
		}
		tracing.Logged(log.Int("status", no.status), noteOf(r.Context()).traceID()).Str("reason", no.reason).Str("from", r.RemoteAddr).Msg("call")
		no.write(w)
		return
	}
	b := builds[0]
	noteOf(r.Context()).builds(builds)
	tracing.Logged(p.log.Info(), noteOf(r.Context()).traceID()).Int("status", http.StatusAccepted).Str("build", b.Build).Uint64("order", b.Order).
		Bool("duplicate", b.Duplicate).Bool("replayed", replayed).Str("from", r.RemoteAddr).Dur("took", p.now().Sub(received)).Msg("call")
	if replayed {
		w.Header().Set(replayedHeader, "true")
	}
	writeJSON(w, http.StatusAccepted, acceptedAnswer{Builds: builds})
}

func (p *Producer) takeCall(w http.ResponseWriter, r *http.Request, received time.Time) (builds []acceptedBuild, replayed bool, no *refusal) {
	who, no := p.authorise(r)
	if no != nil {
		w.Header().Set("Connection", "close") // the body is not worth reading
		return nil, false, no
	}
	keep(r.Context())
	noteOf(r.Context()).call.By = "token " + who
	key, no := idempotencyKey(r.Header)
	if no != nil {
		w.Header().Set("Connection", "close")
		return nil, false, no
	}
	if no := encoded(r.Header); no != nil {
		w.Header().Set("Connection", "close")
		return nil, false, no
	}
	body, no := p.readBody(w, r, maxCallBytes)
	if no != nil {
		return nil, false, no
	}
	defer body.release()
	c, err := readCall(body.bytes)
	if err != nil {
		return nil, false, refuse(http.StatusBadRequest, "%v", err)
	}
	if key != "" {
		return p.takeKeyed(r, who, key, &c, received)
	}
	q, no := p.requestOf(r.Context(), &c, who, received)
	if no != nil {
		return nil, false, no
	}
	builds, no = p.store(r, []*messages.BuildRequested{q})
	return builds, false, no
}

// requestOf is the request for what a call asks for: of the head of a branch or tag as it is now, where it names no commit.
func (p *Producer) requestOf(ctx context.Context, c *call, who string, received time.Time) (*messages.BuildRequested, *refusal) {
	if c.Commit != "" || c.Context != "" {
		return p.requestAt(c, who, received, "", c.Commit)
	}
	d, no := p.pipeline(c)
	if no != nil {
		return nil, no
	}
	ref, no := c.ref(d)
	if no != nil {
		return nil, no
	}
	tag, _ := strings.CutPrefix(ref, tagRefs)
	if tag == ref {
		tag = ""
	}
	at := d.pipeline.At(ref)
	commit, no := p.lookUp(ctx, &at, tag)
	if no != nil {
		return nil, no
	}
	return p.requestAt(c, who, received, ref, commit)
}

// requestAt is the request for what a call asks for at a commit, which a ref has where that is not "".
func (p *Producer) requestAt(c *call, who string, received time.Time, ref, commit string) (*messages.BuildRequested, *refusal) {
	d, no := p.pipeline(c)
	if no != nil {
		return nil, no
	}
	q := &messages.BuildRequested{
		Build: messages.NewBuildID(d.pipeline.Name), Pipeline: d.pipeline, Commit: commit, Context: c.Context,
		Cause: messages.CausePerson, RequestedBy: cmp.Or(clip(c.RequestedBy), who), Reason: byCaller(who), Received: received.UTC(),
	}
	if ref != "" {
		q.SetRef(ref)
	}
	return q, nil
}

// pipeline is the one that a call names.
func (p *Producer) pipeline(c *call) (*declared, *refusal) {
	pipelines := p.inForce.Load().pipelines
	d, ok := pipelines.byName[c.Pipeline]
	if !ok {
		return nil, refuse(http.StatusNotFound, "pipeline: there is no pipeline %q%s", clip(c.Pipeline), suggest.DidYouMean(c.Pipeline, pipelines.names()))
	}
	return d, nil
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
