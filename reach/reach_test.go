package reach

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]struct{ stranger, operator bool }{
		"93.184.215.14": {true, true}, "1.1.1.1": {true, true}, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": {true, true}, "172.32.0.1": {true, true}, "100.128.0.1": {true, true},
		"10.0.0.1": {false, true}, "172.16.0.1": {false, true}, "172.31.255.255": {false, true}, "192.168.1.1": {false, true}, "127.0.0.1": {false, true},
		"127.255.255.254": {false, true}, "100.64.0.1": {false, true}, "::1": {false, true}, "fd00::1": {false, true}, "fc00::1": {false, true}, "fec0::1": {false, true},
		"192.0.0.8": {false, true}, "198.18.0.1": {false, true}, "203.0.113.9": {false, true}, "2001:db8::1": {false, true}, "64:ff9b:1::1": {false, true},
		"169.254.169.254": {}, "169.254.0.1": {}, "fe80::1": {}, "fe80::1%eth0": {}, "febf::1": {}, "0.0.0.0": {}, "0.1.2.3": {}, "::": {}, "224.0.0.1": {}, "239.1.1.1": {},
		"240.0.0.1": {}, "255.255.255.255": {}, "ff02::1": {}, "4000::1": {}, "100::1": {}, "2606:4700::1%eth0": {},
		// What is reached through a translator or a tunnel counts.
		"::ffff:127.0.0.1": {false, true}, "::ffff:169.254.169.254": {}, "::ffff:93.184.215.14": {true, true}, "::127.0.0.1": {false, true}, "::169.254.169.254": {},
		"64:ff9b::127.0.0.1": {false, true}, "64:ff9b::a9fe:a9fe": {}, "64:ff9b::5db8:d70e": {true, true}, "2002:7f00:1::1": {false, true}, "2002:a9fe:a9fe::1": {},
		"2001:0:4136:e378:8000:63bf:80ff:fffe": {false, true}, "2001:0:4136:e378:8000:63bf:5601:5601": {},
	} {
		a := netip.MustParseAddr(address)
		r := &Rules{}
		if got := r.AllowsAddress(a, Stranger) == nil; got != want.stranger {
			t.Errorf("%s, by a stranger: %t", address, got)
		}
		if got := r.AllowsAddress(a, Operator) == nil; got != want.operator {
			t.Errorf("%s, by the operator: %t", address, got)
		}
	}
	r := &Rules{Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("169.254.169.254/32"), netip.MustParsePrefix("fd00::/8")}}
	for address, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::10.1.2.3": true, "10.2.2.3": false, "169.254.169.254": true, "169.254.169.253": false, "fd12::1": true, "fc12::1": false} {
		if got := r.AllowsAddress(netip.MustParseAddr(address), Stranger) == nil; got != want {
			t.Errorf("%s, with those that are allowed: %t", address, got)
		}
	}
}

func TestPlaces(t *testing.T) {
	for address, want := range map[string]string{
		"https://Git.Example.com/a.git": "git.example.com 443", "http://h:8080/a": "h 8080", "git://h/a": "h 9418", "http://127.0.0.1/a": "127.0.0.1 80",
		"http://[::1]:3000/a": "::1 3000", "http://[::ffff:127.0.0.1]/": "127.0.0.1 80", "http://[0:0::1]/": "::1 80", "https://a_b-c.example": "a_b-c.example 443",
		"http://1e100.example": "1e100.example 80", "http://0x.example/": "0x.example 80", "http://example.1a": "example.1a 80",
		"http://2130706433/": "", "http://0x7f000001/": "", "http://0X7F.1/": "", "http://127.1/": "", "http://0177.0.0.1/": "", "http://127.0.0.1./": "", "http://1.2.3.4.5/": "",
		"http://host./": "", "http://a..b/": "", "http://-a/": "", "http://a-/": "", "http://[fe80::1%25eth0]/": "", "http://ⓛocalhost/": "", "http://127。0。0。1/": "",
		"http://me@h/": "", "http://h:0/": "", "http://h:65536/": "", "http://h:080/": "", "ftp://h/": "", "file:///etc": "", "http:///a": "", "http:a": "", "http://0x/": "",
	} {
		u, err := url.Parse(address)
		got := ""
		if err == nil {
			var p Place
			if p, err = ParsePlace(u); err == nil {
				got = p.Host + " " + p.Port
			}
		}
		if got != want {
			t.Errorf("%s: %q, %v; want %q", address, got, err, want)
		}
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1/", "http://[::1%25a]:1/", "https://a.b:443/x", "git://0x7f.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		p, err := ParsePlace(u)
		if err != nil {
			return
		}
		again, err := url.Parse(p.Scheme + "://" + p.Address() + "/")
		if err != nil {
			t.Fatalf("%q became %q, which is no URL: %v", s, p.Address(), err)
		}
		if q, err := ParsePlace(again); err != nil || q != p {
			t.Errorf("%q is %+v, and written anew %+v, %v", s, p, q, err)
		}
	})
}

func TestHosts(t *testing.T) {
	hosts, err := ParseHosts([]string{"git.example.com", "h:3000", "*.Forge.example", "10.1.2.3", "[fd00::1]:8443", "[fd00::2]"})
	if err != nil {
		t.Fatal(err)
	}
	r := &Rules{Hosts: hosts, Protocols: []string{"https"}}
	for address, want := range map[string]string{
		"https://git.example.com/a": "", "https://git.example.com:8443/a": "", "https://h:3000/": "", "https://h/": FieldHosts, "https://a.forge.example/": "", "https://a.b.forge.example/": "",
		"https://forge.example/": FieldHosts, "https://xforge.example/": FieldHosts, "https://10.1.2.3/": "", "https://10.1.2.4/": FieldHosts, "https://[fd00::1]:8443/": "",
		"https://[fd00::1]/": FieldHosts, "https://[fd00::2]/": "", "http://git.example.com/": FieldProtocols,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParsePlace(u)
		if err != nil {
			t.Fatal(err)
		}
		var denied *DeniedError
		got := ""
		if err := r.Allows(p, Operator); errors.As(err, &denied) {
			got = denied.Field
		} else if err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if got != want {
			t.Errorf("%s is denied by %q, want %q", address, got, want)
		}
	}
	for _, bad := range []string{"", "*", "*.", "https://h", "h/a", "a b", "*.10.1.2.3", "0x7f.1", "h:0", "a@b", "a*b.example"} {
		if hosts, err := ParseHosts([]string{bad}); err == nil || !strings.Contains(err.Error(), "write git.example.com") {
			t.Errorf("%q: %q, %v", bad, hosts, err)
		}
	}
	for _, bad := range []string{"", "10.0.0.1/8", "x", "10.0.0.0/33", "fe80::1%eth0", "::ffff:10.0.0.0/104"} {
		if blocks, err := ParseBlocks([]string{bad}); err == nil {
			t.Errorf("%q: %v", bad, blocks)
		}
	}
	if blocks, err := ParseBlocks([]string{"10.0.0.0/8", "192.168.7.20", "fd00::1"}); err != nil || blocks[1].String() != "192.168.7.20/32" || blocks[2].String() != "fd00::1/128" {
		t.Errorf("%v, %v", blocks, err)
	}
	if _, err := ParseProtocols([]string{"ssh"}); err == nil || !strings.Contains(err.Error(), "no key") {
		t.Error(err)
	}
}

// turning answers each look with the next address, and the last for good.
type turning struct {
	answers []string
	asked   atomic.Int32
}

func (n *turning) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	i := int(n.asked.Add(1)) - 1
	return []netip.Addr{netip.MustParseAddr(n.answers[min(i, len(n.answers)-1)])}, nil
}

// TestANameThatTurnsIntoAnotherAddress is DNS rebinding: what was judged is not what is dialed.
func TestANameThatTurnsIntoAnotherAddress(t *testing.T) {
	var came atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := &Rules{Resolver: &turning{answers: []string{"93.184.215.14", "127.0.0.1"}}}
	err = r.Follow(t.Context(), http.MethodGet, "http://h.example:"+port+"/x", Stranger)
	if denied := new(DeniedError); !errors.As(err, &denied) || came.Load() != 0 {
		t.Errorf("%v, after %d requests", err, came.Load())
	}
}

func TestFollow(t *testing.T) {
	var came atomic.Int32
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	t.Cleanup(inner.Close)
	to := atomic.Value{}
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to.Load().(string), http.StatusFound)
	}))
	t.Cleanup(outer.Close)
	at, err := netip.ParseAddrPort(outer.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	allowed := []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}
	for location, denied := range map[string]bool{
		"http://169.254.169.254/latest": true, "http://[::ffff:a9fe:a9fe]/": true, "file:///etc/passwd": true, "http://2130706433/": true, "http://10.0.0.1/": true,
		"http://0.0.0.0/": true, inner.URL: false,
	} {
		to.Store(location)
		err := (&Rules{Addresses: allowed}).Follow(t.Context(), http.MethodGet, outer.URL, Stranger)
		if got := err != nil; got != denied {
			t.Errorf("%s: %v", location, err)
		}
	}
	if came.Load() != 1 {
		t.Errorf("%d requests came where one was allowed", came.Load())
	}
	to.Store(inner.URL)
	if err := (&Rules{}).Follow(t.Context(), http.MethodGet, outer.URL, Stranger); err == nil || came.Load() != 1 {
		t.Errorf("the first host is not judged: %v", err)
	}
}
