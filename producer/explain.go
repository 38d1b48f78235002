package producer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/suggest"
	"golang.org/x/sync/semaphore"
)

// Explaining says what a webhook would match, without a queue.
type Explaining struct {
	Pipelines  *Pipelines
	Unread     []string    // secret files that could not be read, which LoadUnsigned returns
	Forge      string      // whose webhook it is; "" where its path or its headers say it
	Header     http.Header // those that the webhook has beside what is in its file, or in place of that
	SecretsDir string      // has the repositories' tokens
	Offline    bool        // ask no repository what a push changed
}

// Explanation is what would become of a webhook.
type Explanation struct {
	Forge      string      `json:"forge"`
	Event      string      `json:"event,omitempty"`
	Delivery   string      `json:"delivery,omitempty"`
	Signature  Signature   `json:"signature"`
	Assumed    []string    `json:"assumed,omitempty"` // what the file doesn't have, and was filled in
	Ignored    string      `json:"ignored,omitempty"` // why nothing is done with all of it
	Pushes     []PushedRef `json:"pushes,omitempty"`
	WouldBuild []string    `json:"would_build"`       // pipelines
	Problem    string      `json:"problem,omitempty"` // why the producer would refuse it
}

// Signature is whether a webhook's signature is right.
type Signature struct {
	Checked   bool     `json:"checked"`
	Right     bool     `json:"right"`
	Said      string   `json:"said"`
	Pipelines []string `json:"pipelines,omitempty"` // those whose secret signed it
}

// PushedRef is a ref that was pushed, and what each pipeline makes of it.
type PushedRef struct {
	Repository []string         `json:"repository"` // its addresses
	Ref        string           `json:"ref"`
	Before     string           `json:"before,omitempty"`
	Commit     string           `json:"commit,omitempty"`
	Deleted    bool             `json:"deleted,omitempty"`
	Forced     bool             `json:"forced,omitempty"`
	Pusher     string           `json:"pusher,omitempty"`
	Files      int              `json:"files"`     // that the webhook names
	AllFiles   bool             `json:"all_files"` // there are no others
	Ignored    string           `json:"ignored,omitempty"`
	Pipelines  []PipelineAnswer `json:"pipelines"`
}

// PipelineAnswer is what a pipeline makes of a push.
type PipelineAnswer struct {
	Pipeline string `json:"pipeline"`
	Build    bool   `json:"build"`
	Why      string `json:"why"`
}

// LoadUnsigned is LoadPipelines where the secret files may be on another machine: those that can't be read are
// returned, and signatures of their pipelines' webhooks are right to nobody.
func LoadUnsigned(path string) (p *Pipelines, unread []string, err error) {
	l := &loading{elsewhere: true}
	p, err = l.pipelines(path)
	return p, l.unread, err
}

// ErrForge tells that it is not known whose webhook it is.
var ErrForge = errors.New("whose webhook it is")

// Explain reads a webhook as it was sent, the whole request or its body alone, and says what would become of it.
// Errors are about what can't be read at all.
func (x Explaining) Explain(ctx context.Context, sent []byte) (*Explanation, error) {
	r, err := readSent(sent)
	if err != nil {
		return nil, err
	}
	for name, values := range x.Header {
		r.header[name] = values
	}
	f, err := x.forge(r)
	if err != nil {
		return nil, err
	}
	out := &Explanation{Forge: f.name(), WouldBuild: []string{}}
	if name, value := pushHeader(f.name(), r.body); name != "" && r.header.Get(name) == "" {
		r.header.Set(name, value)
		out.Assumed = append(out.Assumed, fmt.Sprintf("header %s: %s", name, value))
	}
	if len(r.body) > maxHookBytes {
		out.Problem = tooLarge(maxHookBytes).reason
	}
	payload := x.signature(out, f, r)
	d, err := f.read(r.header, payload)
	out.Event, out.Delivery, out.Ignored = d.kind, d.id, d.ignored
	if err != nil {
		return nil, fmt.Errorf("%s%w", misaddressed(r.header, f.name()), err)
	}
	switch {
	case d.ping != nil && out.Problem != "":
		out.Ignored = "a ping, which is refused, as a push would be"
	case d.ping != nil:
		out.Ignored = d.ping.answer(r.header, x.takers(out, f)).sentence()
	}
	if out.Ignored == "" {
		x.pushes(ctx, out, f, d.events)
	}
	return out, nil
}

// takers are the pipelines that take a forge's webhooks, and as far as that is known, this one.
func (x Explaining) takers(out *Explanation, f forge) []*declared {
	return slices.DeleteFunc(slices.Clone(x.Pipelines.declared), func(d *declared) bool {
		return d.secret == nil || !slices.Contains(d.forges, f.name()) || out.Signature.Checked && !slices.Contains(out.Signature.Pipelines, d.pipeline.Name)
	})
}

// sentRequest is a request that was sent.
type sentRequest struct {
	path   string // "" where there is a body alone
	header http.Header
	body   []byte
}

// requestLine is the first line of a request.
var requestLine = regexp.MustCompile(`^[A-Z]+ (\S+) HTTP/[0-9.]+\r?\n`)

// readSent reads a whole request, or takes all for a body. Line ends may be those of an editor.
func readSent(sent []byte) (*sentRequest, error) {
	r := &sentRequest{header: http.Header{}, body: sent}
	if len(bytes.TrimSpace(sent)) == 0 {
		return nil, errors.New("it is empty: give the body of a webhook, or the whole request")
	}
	m := requestLine.FindSubmatch(sent)
	if m == nil {
		return r, nil
	}
	r.path = string(m[1])
	in := bufio.NewReader(bytes.NewReader(sent[len(m[0]):]))
	header, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("the headers of the request can't be read: %w: write them one a line, and an empty line after the last", err)
	}
	r.header = http.Header(header)
	body, err := io.ReadAll(in)
	if err == nil && strings.EqualFold(r.header.Get("Transfer-Encoding"), "chunked") {
		body, err = io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
	}
	if err != nil {
		return nil, fmt.Errorf("the body of the request can't be read: %w", err)
	}
	if said := r.header.Get("Content-Length"); said != "" {
		n, err := strconv.Atoi(said)
		switch {
		case err != nil || n < 0:
			return nil, fmt.Errorf("header Content-Length: %q is no length", clip(said))
		case n > len(body):
			return nil, fmt.Errorf("the body has %d bytes where header Content-Length says %d: it was cut", len(body), n)
		}
		body = body[:n]
	}
	r.body = body
	return r, nil
}

// forge finds whose webhook it is.
func (x Explaining) forge(r *sentRequest) (forge, error) {
	name := x.Forge
	if name == "" {
		_, name, _ = strings.Cut(r.path, "/hooks/")
		name, _, _ = strings.Cut(name, "?")
		name = strings.Trim(name, "/")
	}
	if name == "" {
		if i := slices.IndexFunc(brands, func(b brand) bool { return r.header.Get(b.header) != "" }); i >= 0 {
			name = brands[i].forge
		} else if r.header.Get("Webhook-Id") != "" {
			name = generic{}.name()
		}
	}
	known := forgeNames()
	for _, f := range forges() {
		if f.name() == name {
			return f, nil
		}
	}
	switch other, ok := otherForgeCalled(name); {
	case name == "":
		return nil, fmt.Errorf("neither a path nor a header says %w: name the forge (%s)", ErrForge, strings.Join(known, ", "))
	case ok:
		return nil, errors.New(other)
	case x.Forge == "":
		return nil, fmt.Errorf("its path, %s, names no forge%s, so that it doesn't say %w: name the forge (%s)", clip(r.path), suggest.DidYouMean(name, known), ErrForge, strings.Join(known, ", "))
	}
	return nil, fmt.Errorf("there is no forge %q%s (known: %s)", clip(name), suggest.DidYouMean(name, known), strings.Join(known, ", "))
}

// pushHeader is the header by which a forge says what a webhook is of, mostly a push, which a body alone doesn't have.
func pushHeader(forge string, body []byte) (name, value string) {
	switch forge {
	case "bitbucket":
		switch {
		case bytes.Contains(body, []byte(`"eventKey"`)):
			return "X-Event-Key", dataCenterPush
		case !bytes.Contains(body, []byte(`"repository"`)) && bytes.Contains(body, []byte(`"test"`)):
			return "X-Event-Key", dataCenterTest
		}
		return "X-Event-Key", cloudPush
	case "gitlab":
		if bytes.Contains(body, []byte(`"tag_push"`)) {
			return "X-Gitlab-Event", "Tag Push Hook"
		}
		return "X-Gitlab-Event", "Push Hook"
	}
	event := "push"
	switch {
	case bytes.Contains(body, []byte(`"zen"`)) && bytes.Contains(body, []byte(`"hook_id"`)):
		event = "ping"
	case bytes.Contains(body, []byte(`"ref_type"`)) && bytes.Contains(body, []byte(`"pusher_type"`)) && forge != "github":
		event = "delete"
	case bytes.Contains(body, []byte(`"ref_type"`)):
		event = "create"
	}
	if i := slices.IndexFunc(brands, func(b brand) bool { return b.forge == forge }); i >= 0 {
		return brands[i].header, event
	}
	return "", ""
}

// signature checks the signature, as far as that can be, and returns the payload. A body that can't be read as a form
// is taken as it is: what reads it says what is wrong.
func (x Explaining) signature(out *Explanation, f forge, r *sentRequest) []byte {
	payload := r.body
	s := &out.Signature
	signed, err := f.proof(r.header, time.Now())
	if err != nil {
		if isForm(r.header, r.body) {
			if p, err := formPayload(bytes.Clone(r.body)); err == nil {
				payload = p
			}
		}
		s.Said = fmt.Sprintf("not checked: %v", err)
		return payload
	}
	h := &hooks{forge: f, keys: func() *keyring { return newKeyring(x.Pipelines, f.name()) }}
	pipelines, payload, err := h.verified(r.header, bytes.Clone(r.body), signed)
	if trimmed := bytes.TrimRight(r.body, "\r\n"); len(pipelines) == 0 && len(trimmed) < len(r.body) { // an editor adds a line's end
		pipelines, payload, err = h.verified(r.header, bytes.Clone(trimmed), signed)
	}
	if err != nil {
		payload = r.body
	}
	s.Checked = true
	for _, d := range pipelines {
		s.Pipelines = append(s.Pipelines, d.pipeline.Name)
	}
	switch s.Right = len(pipelines) > 0; {
	case s.Right:
		s.Said = "right: it is by the secret of " + named(pipelines)
	case len(x.Unread) > 0:
		s.Checked = false
		s.Said = fmt.Sprintf("not checked: secret file %s can't be read here", clip(strings.Join(x.Unread, ", ")))
	default:
		s.Said = "wrong: it is by no secret of a pipeline that takes this forge's webhooks; nor is it where the file has not the very bytes that were sent"
		out.Problem = "401: the signature does not match"
	}
	return payload
}

// pushes says what each pipeline makes of each push.
func (x Explaining) pushes(ctx context.Context, out *Explanation, f forge, events []event) {
	ask := (&Producer{secretsDir: x.SecretsDir, asks: semaphore.NewWeighted(asksAtOnce)}).asking(ctx)
	if x.Offline {
		ask = func(*declared, string, string) (git.Change, error) {
			return git.Change{}, errors.New("the repository is not asked")
		}
	}
	for i := range events {
		e := &events[i]
		p := PushedRef{
			Repository: e.repositories, Ref: e.ref, Before: e.before, Commit: e.commit, Deleted: e.deleted, Forced: e.forced, Pusher: e.pusher,
			Files: e.paths.count(), AllFiles: e.pathsComplete, Ignored: e.unfit(), Pipelines: []PipelineAnswer{},
		}
		for _, d := range x.Pipelines.declared {
			a := x.answer(out, f, e, d, ask)
			if p.Pipelines = append(p.Pipelines, a); a.Build && !slices.Contains(out.WouldBuild, a.Pipeline) {
				out.WouldBuild = append(out.WouldBuild, a.Pipeline)
			}
		}
		out.Pushes = append(out.Pushes, p)
	}
}

// answer is what a pipeline makes of a push, and of the webhook that told of it.
func (x Explaining) answer(out *Explanation, f forge, e *event, d *declared, ask asker) PipelineAnswer {
	a := PipelineAnswer{Pipeline: d.pipeline.Name}
	copied := *e
	switch {
	case d.secret == nil:
		a.Why = "it takes no webhooks: give it webhook.secret_file"
	case !slices.Contains(d.forges, f.name()):
		a.Why = fmt.Sprintf("its webhook.forges leaves out %s (it has %s)", f.name(), strings.Join(d.forges, ", "))
	case copied.of([]*declared{d}) == nil:
		a.Why = fmt.Sprintf("its repository is another one, %s", clip(d.pipeline.Repository))
	case out.Signature.Checked && !slices.Contains(out.Signature.Pipelines, d.pipeline.Name):
		a.Why = "the webhook is not signed with its secret"
	case e.unfit() != "":
		a.Why = e.unfit()
	case out.Problem != "":
		a.Why = out.Problem
	default:
		v := d.judge(e, ask)
		a.Build, a.Why = v.build, v.why
	}
	return a
}
