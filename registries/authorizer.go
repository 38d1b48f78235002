package registries

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/docker/cli/cli/config/types"
)

// authorizer gives requests the registry's login, as docker would. A login may be a token that the
// registry takes as it is.
type authorizer struct {
	docker.Authorizer
	logins Logins

	mu   sync.Mutex
	read map[string]types.AuthConfig // by host: a credential helper is a program
}

// Authorizer gives requests the login of the registry that they go to, or a token that the registry's token server gives for
// it, which client asks. It keeps both.
func (l Logins) Authorizer(client *http.Client) docker.Authorizer {
	a := &authorizer{logins: l, read: make(map[string]types.AuthConfig)}
	tokens := TokenClient(client)
	tokens.Transport = passwordsByGet{tokens.Transport}
	a.Authorizer = docker.NewDockerAuthorizer(docker.WithAuthClient(tokens), docker.WithAuthCreds(func(host string) (user, secret string, err error) {
		c, err := a.login(context.Background(), host)
		if c.IdentityToken != "" {
			return "", c.IdentityToken, err
		}
		return c.Username, c.Password, err
	}))
	return a
}

// Authorize gives a request what is known to be wanted for it.
func (a *authorizer) Authorize(ctx context.Context, r *http.Request) error {
	c, err := a.login(ctx, r.URL.Host)
	if err != nil {
		return err
	}
	if c.RegistryToken != "" {
		r.Header.Set("Authorization", "Bearer "+c.RegistryToken)
		return nil
	}
	return a.Authorizer.Authorize(ctx, r)
}

func (a *authorizer) login(ctx context.Context, host string) (types.AuthConfig, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.read[host]; ok {
		return c, nil
	}
	c, err := a.logins.Of(ctx, host)
	if err == nil {
		a.read[host] = c
	}
	return c, err
}

// tokenMost bounds the answer of a token server, in bytes: whoever a registry names may answer without end.
const tokenMost = 1 << 20

var errLongToken = fmt.Errorf("the token server answers more than %d MiB", tokenMost>>20)

// TokenClient is a client that asks token servers as another one does.
func TokenClient(client *http.Client) *http.Client {
	c := *client
	c.Transport = shortAnswers{client.Transport}
	return &c
}

// shortAnswers has answers end in an error where they are longer than any token.
type shortAnswers struct{ http.RoundTripper }

// RoundTrip does a request.
func (t shortAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = &shortBody{answer.Body, tokenMost}
	}
	return answer, err
}

type shortBody struct {
	io.ReadCloser
	left int
}

// Read reads what may be read.
func (b *shortBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errLongToken
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// passwordsByGet refuses the form of asking a token server that containerd tries first for a user and a
// password, by POST, so that it asks by GET as docker does: that is what all of them answer.
type passwordsByGet struct{ http.RoundTripper }

// RoundTrip does a request, unless it is such a one.
func (t passwordsByGet) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		defer body.Close()
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		if form, err := url.ParseQuery(string(text)); err == nil && form.Get("grant_type") == "password" {
			const status = http.StatusMethodNotAllowed
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Header: http.Header{}, Request: r}, nil
		}
	}
	return t.RoundTripper.RoundTrip(r)
}
