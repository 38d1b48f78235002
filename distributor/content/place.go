package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// place is a mirror or registry that may have an image.
type place struct {
	name     string // for people
	repo     name.Repository
	of       string // the image's registry, which a mirror of several asks for
	scheme   string // of a mirror, which no answer changes; "" of a registry
	mirror   *messages.Mirror
	health   *health
	base     http.RoundTripper
	login    func() (authn.Authenticator, error)
	lied     bool
	last     bool // it is the image's registry
	hasLogin bool

	connecting sync.Mutex
	client     *http.Client // once it was asked first
}

// mirror makes a place of a mirror.
func (o *Opener) mirror(m *messages.Mirror, image name.Repository) (*place, error) {
	u, err := url.Parse(m.URL)
	if err != nil {
		return nil, fmt.Errorf("mirror %s: %w", m.URL, err)
	}
	repo, err := name.NewRepository(u.Host+"/"+strings.TrimPrefix(strings.Trim(u.Path, "/")+"/"+image.RepositoryStr(), "/"), name.WithDefaultRegistry(u.Host))
	if err != nil {
		return nil, fmt.Errorf("mirror %s: %w", m.URL, err)
	}
	return &place{
		name: "mirror " + strings.TrimSuffix(m.URL, "/"), repo: repo, of: image.RegistryStr(), scheme: u.Scheme, mirror: m, health: &o.health,
		base:  only{host: u.Host, scheme: u.Scheme, next: o.cfg.Transport},
		login: func() (authn.Authenticator, error) { return o.cfg.Login(u.Host) },
	}, nil
}

// registry makes a place of the image's own registry.
func (o *Opener) registry(image name.Repository) (*place, error) {
	return &place{
		name: "registry " + image.RegistryStr(), repo: image, health: &o.health, last: true, base: o.cfg.Transport,
		login: func() (authn.Authenticator, error) { return o.cfg.Login(image.RegistryStr()) },
	}, nil
}

// only lets requests go to one host: a mirror's login goes nowhere else, and neither do nodes at its word.
type only struct {
	host, scheme string
	next         http.RoundTripper
}

// RoundTrip sends a request to the host, by its scheme.
func (o only) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != o.host {
		return nil, fmt.Errorf("it sends nodes to another host, %s: let it answer by itself (no redirects, its token server under its own name)", r.URL.Host)
	}
	r = r.Clone(r.Context())
	r.URL.Scheme = o.scheme
	return o.next.RoundTrip(r)
}

// rests tells whether the mirror is left alone now.
func (p *place) rests() bool { return p.mirror != nil && p.health.rests(p.mirror.URL) }

// failedWith has a mirror left alone that failed; that it doesn't have an image is no fault.
func (p *place) failedWith(err error) {
	if p.mirror != nil && !errors.Is(err, distributor.ErrNotFound) {
		p.health.failed(p.mirror, err)
	}
}

// worked notes that a mirror gave what it was asked for.
func (p *place) worked() {
	if p.mirror != nil {
		p.health.worked(p.mirror.URL)
	}
}

// get asks for a part from its byte from on, and returns its bytes.
func (p *place) get(ctx context.Context, kind, digest string, from, size int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.Duration(0)
	if p.mirror != nil {
		limit = p.mirror.Limit()
	}
	wait := newPatience(limit, cancel)
	done := wait.begin()
	body, err := p.ask(ctx, kind, digest, from, size)
	if err == nil && body.skip > 0 {
		_, err = io.CopyN(io.Discard, body.ReadCloser, body.skip)
	}
	done()
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errSlow) {
		err = fmt.Errorf("no answer within %s", limit)
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	wait.left = limit
	return &patientBody{body.ReadCloser, wait, ctx}, nil
}

// answer is a part's bytes, of which the first may be to be passed over.
type answer struct {
	io.ReadCloser
	skip int64
}

// ask sends the request.
func (p *place) ask(ctx context.Context, kind, digest string, from, size int64) (answer, error) {
	client, err := p.connect(ctx)
	if err != nil {
		return answer{}, p.explain(err)
	}
	at := url.URL{Scheme: p.repo.Scheme(), Host: p.repo.RegistryStr(), Path: "/v2/" + p.repo.RepositoryStr() + "/" + kind + "/" + digest}
	if p.mirror != nil {
		at.Scheme, at.RawQuery = p.scheme, url.Values{"ns": {p.of}}.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Accept", strings.Join([]string{
		string(types.OCIImageIndex), string(types.OCIManifestSchema1), string(types.DockerManifestList), string(types.DockerManifestSchema2), "*/*",
	}, ", "))
	if from > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	got, err := client.Do(r)
	if err != nil {
		return answer{}, p.explain(err)
	}
	out, err := p.judge(got, from, size)
	if err != nil {
		got.Body.Close()
	}
	return out, err
}

// judge takes an answer's bytes, or says what is wrong with it.
func (p *place) judge(got *http.Response, from, size int64) (answer, error) {
	if strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") && got.StatusCode < 300 {
		return answer{}, errors.New("it answers with a web page, as no registry does: check its address")
	}
	out := answer{ReadCloser: got.Body, skip: from}
	switch {
	case got.StatusCode == http.StatusPartialContent && from > 0 && strings.HasPrefix(got.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)):
		out.skip = 0
	case got.StatusCode == http.StatusOK:
		if size >= 0 && got.ContentLength >= 0 && got.ContentLength != size {
			return answer{}, fmt.Errorf("it gives %d bytes for a part of %d", got.ContentLength, size)
		}
	default:
		return answer{}, p.explain(transport.CheckError(got, http.StatusOK))
	}
	return out, nil
}

// connect makes the client, with the place's own login, and no other's.
func (p *place) connect(ctx context.Context) (*http.Client, error) {
	p.connecting.Lock()
	defer p.connecting.Unlock()
	if p.client != nil {
		return p.client, nil
	}
	login, err := p.login()
	if err != nil {
		return nil, err
	}
	p.hasLogin = login != authn.Anonymous
	t, err := transport.NewWithContext(ctx, p.repo.Registry, login, p.base, []string{p.repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	p.client = &http.Client{Transport: t}
	return p.client, nil
}

// explain says what an error of a place is about, and what to do.
func (p *place) explain(err error) error {
	var u *url.Error
	if errors.As(err, &u) { // its text has the address, which is said already
		err = u.Err
	}
	var t *transport.Error
	if !errors.As(err, &t) {
		return err
	}
	switch t.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: it does not have it", distributor.ErrNotFound)
	case http.StatusUnauthorized, http.StatusForbidden:
		fix := "give the distributor a login for " + p.repo.RegistryStr() + " (its docker-config names the folder of a config.json)"
		if p.hasLogin {
			fix = "correct the login for " + p.repo.RegistryStr() + ", or let it read the repository"
		}
		return fmt.Errorf("%w (%d): %s", distributor.ErrUnauthorized, t.StatusCode, fix)
	}
	return fmt.Errorf("it answers %d %s", t.StatusCode, http.StatusText(t.StatusCode))
}
