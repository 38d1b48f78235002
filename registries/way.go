package registries

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/fenceline/fenceline/reach"
)

// Way is the way to one registry, and to whom it leads from there: a redirect, a token server. The registry itself was named by
// who writes the pipeline file or a Dockerfile, and may have a private address, as those of most sites do. What it leads to
// may have one only where the registry has one, so that no public registry leads into a site; link-local addresses are nobody's
// to name. Which hosts repositories may be cloned from says nothing of registries.
type Way struct {
	host           string // as requests have it
	resolver       reach.Resolver
	own, elsewhere http.RoundTripper

	mu     sync.Mutex
	onSite bool
	until  time.Time // onSite is taken to be so
}

// addressFor is how long it is taken for known whether a registry has a public address: its name may lead elsewhere by and by.
const addressFor = time.Minute

// NewWay makes the way to a registry's host, HOST[:PORT], over what base says of certificates. Nil rules are their zero value.
func NewWay(host string, base *http.Transport, rules *reach.Rules) *Way {
	addresses := &reach.Rules{}
	if rules = cmp.Or(rules, addresses); rules != addresses {
		addresses.Addresses, addresses.Resolver = rules.Addresses, rules.Resolver
	}
	return &Way{
		host: host, resolver: addresses.Resolver,
		own: addresses.Transport(base, reach.Operator), elsewhere: addresses.Transport(base, reach.Stranger),
	}
}

// mostHops bounds redirects, as Go's own client does.
const mostHops = 10

// Client goes this way. No credential goes along to another host than it was meant for.
func (w *Way) Client(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= mostHops {
			return errors.New("too many redirects")
		}
		from, err := reach.ParsePlace(via[len(via)-1].URL)
		to, toErr := reach.ParsePlace(r.URL)
		if err != nil || toErr != nil || !from.Same(to) {
			r.Header.Del("Authorization")
			r.Header.Del("Cookie")
		}
		return nil
	}}
}

// RoundTrip does a request, to the registry or to whom it leads.
func (w *Way) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == w.host {
		return w.own.RoundTrip(r)
	}
	u := *r.URL
	u.User = nil
	if _, err := reach.ParsePlace(&u); err != nil { // as programs read such a host in different ways
		return nil, &reach.DeniedError{Reason: err.Error()}
	}
	if w.isOnSite(r.Context()) {
		return w.own.RoundTrip(r)
	}
	return w.elsewhere.RoundTrip(r)
}

// isOnSite tells whether the registry has no public address. One whose name can't be looked up now counts as public for this
// time: it leads to less then.
func (w *Way) isOnSite(ctx context.Context) bool {
	w.mu.Lock()
	known, onSite := time.Now().Before(w.until), w.onSite
	w.mu.Unlock()
	if known {
		return onSite
	}
	place, err := reach.ParsePlace(&url.URL{Scheme: "https", Host: w.host})
	if err != nil {
		return false
	}
	_, err = (&reach.Rules{Resolver: w.resolver}).Resolve(ctx, place, reach.Stranger) // each for itself: nobody waits longer than its own request may
	denied := errors.As(err, new(*reach.DeniedError))
	if err != nil && !denied {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onSite, w.until = denied, time.Now().Add(addressFor)
	return denied
}

// Led says of an error which setting allows an address that a registry led to, where that is what is wrong.
func Led(err error) error {
	var denied *reach.DeniedError
	if errors.As(err, &denied) && denied.Setting() != "" {
		return fmt.Errorf("%w: the registry leads there, or is there: allow it with %s", err, denied.Setting())
	}
	return err
}
