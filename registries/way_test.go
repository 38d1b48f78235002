package registries

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/reach"
)

// names are hosts' addresses.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(n[host])
	if err != nil {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{a}, nil
}

func TestWhereARegistryMayLead(t *testing.T) {
	var came atomic.Int32
	var shown atomic.Value
	inner := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		came.Add(1)
		shown.Store(r.Header.Get("Authorization"))
	}))
	t.Cleanup(inner.Close)
	_, port, err := net.SplitHostPort(inner.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	base := http.DefaultTransport.(*http.Transport)
	resolver := names{"public.example": "93.184.215.14", "site.example": "10.0.0.1", "inner.example": "127.0.0.1", "cloud.example": "169.254.169.254"}
	for _, c := range []struct {
		registry, to string
		rules        *reach.Rules
		reached      bool
	}{
		{"public.example", "127.0.0.1:" + port, &reach.Rules{}, false},
		{"public.example", "inner.example:" + port, &reach.Rules{}, false},
		{"public.example", "2130706433:" + port, &reach.Rules{}, false},
		{"public.example", "169.254.169.254", &reach.Rules{}, false},
		{"public.example", "127.0.0.1:" + port, &reach.Rules{Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, true},
		{"away.example", "127.0.0.1:" + port, &reach.Rules{}, false},
		{"site.example", "127.0.0.1:" + port, &reach.Rules{}, true},
		{"site.example", "inner.example:" + port, &reach.Rules{Hosts: []string{"git.example.com"}, Protocols: []string{"git"}}, true},
		{"site.example", "2130706433:" + port, &reach.Rules{}, false},
		{"site.example", "169.254.169.254", &reach.Rules{}, false},
		{"site.example", "cloud.example", &reach.Rules{}, false},
		{"127.0.0.1:" + port, "127.0.0.1:" + port, &reach.Rules{}, true},
		{"cloud.example", "cloud.example", &reach.Rules{}, false},
	} {
		came.Store(0)
		c.rules.Resolver = resolver
		w := NewWay(c.registry, base, c.rules)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.to+"/token", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := w.Client(w).Do(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		if denied := new(reach.DeniedError); (err == nil) != c.reached || (came.Load() > 0) != c.reached || err != nil && !errors.As(err, &denied) {
			t.Errorf("%s leads to %s: %v, %d requests", c.registry, c.to, err, came.Load())
		}
		if denied := new(reach.DeniedError); errors.As(err, &denied) && denied.Field != "" && !strings.Contains(Led(err).Error(), "allow-private-addresses") {
			t.Errorf("%v names no setting", Led(err))
		}
	}
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, inner.URL+"/v2/", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(outer.Close)
	w := NewWay(strings.TrimPrefix(outer.URL, "http://"), base, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, outer.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("ann", "pw")
	answer, err := w.Client(w).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if got := shown.Load(); got != "" {
		t.Errorf("another port of the host was shown %q", got)
	}
}

// TestARegistryThatMovesIsSeen within a minute, and one whose name could not be looked up as soon as it can be.
func TestARegistryThatMovesIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addresses := names{}
		w := NewWay("registry.example:5000", http.DefaultTransport.(*http.Transport), &reach.Rules{Resolver: addresses})
		for _, step := range []struct {
			address string
			after   time.Duration
			onSite  bool
		}{
			{"", 0, false},
			{"10.0.0.1", 0, true}, // it was away before
			{"", addressFor / 2, true},
			{"93.184.215.14", addressFor, false},
			{"", addressFor, false},
			{"10.0.0.2", 0, true},
		} {
			<-time.After(step.after)
			addresses["registry.example"] = step.address
			if got := w.isOnSite(t.Context()); got != step.onSite {
				t.Errorf("at %q it is on the site: %v", step.address, got)
			}
		}
	})
}

// slow is a resolver that answers nobody before they go.
type slow chan struct{}

func (s slow) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	s <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestWhoGoesWaitsForNobodysLookUp: a name server that does not answer holds each request for as long as that may wait.
func TestWhoGoesWaitsForNobodysLookUp(t *testing.T) {
	asked := make(slow, 2)
	w := NewWay("registry.example:5000", http.DefaultTransport.(*http.Transport), &reach.Rules{Resolver: asked})
	long, stop := context.WithCancel(t.Context())
	defer stop()
	go w.isOnSite(long)
	<-asked
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan bool, 1)
	go func() { done <- w.isOnSite(gone) }()
	select {
	case onSite := <-done:
		if onSite {
			t.Error("it is on the site, as far as nobody knows")
		}
	case <-time.After(time.Minute):
		t.Error("who is gone waits for another's look-up")
	}
}
