package producer

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhomARequestIsFrom(t *testing.T) {
	const proxy, stranger = "10.0.0.1:1000", "192.0.2.66:1000"
	for name, c := range map[string]struct {
		peer   string
		header string // of RFC 7239 where it is given
		given  http.Header
		want   string
	}{
		"nobody passed it on":             {peer: stranger, want: "192.0.2.66"},
		"a stranger says so":              {peer: stranger, given: http.Header{ForwardedFor: {"198.51.100.1"}}, want: "192.0.2.66"},
		"a proxy says so":                 {peer: proxy, given: http.Header{ForwardedFor: {"198.51.100.1"}}, want: "198.51.100.1"},
		"a stranger said more to a proxy": {peer: proxy, given: http.Header{ForwardedFor: {"203.0.113.9, 198.51.100.1"}}, want: "198.51.100.1"},
		"in lines of their own":           {peer: proxy, given: http.Header{ForwardedFor: {"203.0.113.9", "198.51.100.1"}}, want: "198.51.100.1"},
		"two proxies":                     {peer: proxy, given: http.Header{ForwardedFor: {"203.0.113.9, 198.51.100.1, 10.0.0.2"}}, want: "198.51.100.1"},
		"proxies alone":                   {peer: proxy, given: http.Header{ForwardedFor: {"10.0.0.3, 10.0.0.2"}}, want: "10.0.0.3"},
		"with a port":                     {peer: proxy, given: http.Header{ForwardedFor: {"198.51.100.1:4711"}}, want: "198.51.100.1"},
		"IPv6":                            {peer: proxy, given: http.Header{ForwardedFor: {"2001:db8::7"}}, want: "2001:db8::7"},
		"IPv6 with a port":                {peer: proxy, given: http.Header{ForwardedFor: {"[2001:db8::7]:4711"}}, want: "2001:db8::7"},
		"IPv4 in IPv6":                    {peer: "[::ffff:10.0.0.1]:1", given: http.Header{ForwardedFor: {"::ffff:198.51.100.1"}}, want: "198.51.100.1"},
		"no address":                      {peer: proxy, given: http.Header{ForwardedFor: {"198.51.100.1, unknown"}}, want: "10.0.0.1"},
		"nothing from a proxy":            {peer: proxy, want: "10.0.0.1"},
		"the other header":                {peer: proxy, given: http.Header{ForwardedRFC: {"for=203.0.113.9"}}, want: "10.0.0.1"},
		"RFC 7239":                        {peer: proxy, header: ForwardedRFC, given: http.Header{ForwardedRFC: {`for=203.0.113.9, For="[2001:db8::7]:4711";proto=https`}}, want: "2001:db8::7"},
		"RFC 7239, quoted comma":          {peer: proxy, header: ForwardedRFC, given: http.Header{ForwardedRFC: {`for=198.51.100.1;by="a,for=203.0.113.9"`}}, want: "198.51.100.1"},
		"RFC 7239, an open quote":         {peer: proxy, header: ForwardedRFC, given: http.Header{ForwardedRFC: {`for=203.0.113.9;by=", for=198.51.100.1`}}, want: "10.0.0.1"},
		"RFC 7239, an open quote before":  {peer: proxy, header: ForwardedRFC, given: http.Header{ForwardedRFC: {`for=203.0.113.9;by="`, "for=198.51.100.1"}}, want: "198.51.100.1"},
		"RFC 7239, nothing at the end":    {peer: proxy, header: ForwardedRFC, given: http.Header{ForwardedRFC: {"for=203.0.113.9,"}}, want: "203.0.113.9"},
		"RFC 7239, hidden":                {peer: proxy, header: ForwardedRFC, given: http.Header{ForwardedRFC: {"for=203.0.113.9, for=_hidden"}}, want: "10.0.0.1"},
		"RFC 7239 and the other":          {peer: proxy, header: ForwardedRFC, given: http.Header{ForwardedFor: {"203.0.113.9"}}, want: "10.0.0.1"},
		"a socket":                        {peer: "@", given: http.Header{ForwardedFor: {"203.0.113.9, 198.51.100.1"}}, want: "198.51.100.1"},
		"a socket that says nothing":      {peer: "@", want: localSender},
	} {
		t.Run(name, func(t *testing.T) {
			trusted, err := ParseTrusted([]string{"10.0.0.0/24"})
			if err != nil {
				t.Fatal(err)
			}
			f := Forwarding{Trusted: trusted, Header: c.header}
			got := ""
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.RemoteAddr, r.Header = c.peer, c.given
			if r.Header == nil {
				r.Header = http.Header{}
			}
			if c.peer == "@" {
				r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Name: "/s", Net: "unix"})))
			}
			f.Behind(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = Sender(r) })).ServeHTTP(httptest.NewRecorder(), r)
			if got != c.want {
				t.Errorf("it is from %s; want %s", got, c.want)
			}
		})
	}
}

func TestTrustedProxiesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1/8": "10.0.0.0/8 is meant, or 10.0.0.1/32", "proxy.example.com": "neither a network", "": "neither a network", "10.0.0.0/33": "neither", "fe80::1%eth0": "neither",
	} {
		if _, err := ParseTrusted([]string{"192.0.2.1", text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
	all, err := ParseTrusted([]string{" 192.0.2.1", "2001:db8::/32", "::ffff:192.0.2.9"})
	if err != nil || len(all) != 3 || all[0].Bits() != 32 || all[2].String() != "192.0.2.9/32" {
		t.Errorf("%v, %v", all, err)
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("203.0.113.9, 198.51.100.1", `for="[2001:db8::7]:1";by=x, for=_h`)
	trusted, err := ParseTrusted([]string{"10.0.0.0/24"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, header := range []string{ForwardedFor, ForwardedRFC} {
			fw := Forwarding{Trusted: trusted, Header: header}
			got := fw.from("10.0.0.1", http.Header{ForwardedFor: {a}, ForwardedRFC: {b}})
			if _, ok := address(got); !ok {
				t.Errorf("%q of %q and %q is no address", got, a, b)
			}
		}
	})
}
