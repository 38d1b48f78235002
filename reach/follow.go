package reach

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// followTime bounds Follow altogether, and mostHops the redirects, as Go's own client does.
const (
	followTime = 10 * time.Second
	mostHops   = 10
)

// Follow asks for a URL, and for what it redirects to, and returns a *DeniedError where one of them may not be reached. What
// else goes wrong is no error: whoever fetches it will say.
func (r *Rules) Follow(ctx context.Context, method, address string, by By) error {
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	base := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: dialTime, DisableKeepAlives: true}
	client := &http.Client{Transport: r.Transport(base, by), CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= mostHops {
			return errors.New("too many redirects")
		}
		return r.hop(ctx, req.URL, by)
	}}
	u, err := url.Parse(address)
	if err != nil {
		return &DeniedError{Reason: fmt.Sprintf("%q is no address", clip(address))}
	}
	if err := r.hop(ctx, u, by); err != nil {
		return denial(err)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return nil // it can't be fetched either
	}
	resp, err := client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return denial(err)
}

// hop judges one address on the way.
func (r *Rules) hop(ctx context.Context, u *url.URL, by By) error {
	v := *u
	v.User = nil
	place, err := ParsePlace(&v)
	if err != nil {
		return &DeniedError{Reason: err.Error()}
	}
	_, err = r.Resolve(ctx, place, by)
	return err
}

// denial is a *DeniedError in err, or nil.
func denial(err error) error {
	var denied *DeniedError
	if errors.As(err, &denied) {
		return denied
	}
	return nil
}
