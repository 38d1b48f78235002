package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
)

// names is a resolver that answers each look with the next of a host's addresses, and the last for good.
type names struct {
	answers map[string][]string
	asked   atomic.Int32
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	i := int(n.asked.Add(1)) - 1
	a := n.answers[host]
	if a == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr(a[min(i, len(a)-1)])}, nil
}

// loopback lets strangers name what listens on this machine.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// counted serves what a repository's server does, and counts who comes.
func counted(t *testing.T, server *gittest.Server) (url string, port string, seen *atomic.Int32) {
	t.Helper()
	there, err := urlOf(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	seen = new(atomic.Int32)
	proxy := httputil.NewSingleHostReverseProxy(there)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	_, port, err = net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s.URL, port, seen
}

func urlOf(s string) (*url.URL, error) { return url.Parse(s) }

// TestGitIsKeptToWhatAHostResolvedTo has hosts that only the rules' resolver knows, so that git has no address but the judged.
func TestGitIsKeptToWhatAHostResolvedTo(t *testing.T) {
	server := gittest.Start(t)
	want := server.Repository(t, "a").Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	_, port, seen := counted(t, server)
	remote := func(host string, r *reach.Rules) Remote {
		return Remote{URL: "http://" + host + ":" + port + "/a.git", Branch: "main", By: reach.Stranger, Rules: r}
	}
	t.Run("an address that is allowed", func(t *testing.T) {
		n := &names{answers: map[string][]string{"git.example.test": {"127.0.0.1"}}}
		got, err := Head(t.Context(), remote("git.example.test", &reach.Rules{Resolver: n, Addresses: loopback}))
		if err != nil || got != want || seen.Load() == 0 {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := Head(t.Context(), remote("GIT.example.test", &reach.Rules{Resolver: n, Addresses: loopback})); err != nil || got != want {
			t.Errorf("in capitals: %q, %v", got, err)
		}
	})
	t.Run("one that is not", func(t *testing.T) {
		before := seen.Load()
		n := &names{answers: map[string][]string{"git.example.test": {"127.0.0.1"}}}
		_, err := Head(t.Context(), remote("git.example.test", &reach.Rules{Resolver: n}))
		if !errors.Is(err, ErrNotAllowed) || !strings.Contains(err.Error(), "127.0.0.1 is loopback") || !strings.Contains(err.Error(), "allow-private-addresses") || seen.Load() != before {
			t.Errorf("%v, after %d requests", err, seen.Load()-before)
		}
	})
	t.Run("one that turns into another", func(t *testing.T) {
		before := seen.Load()
		ctx, cancel := context.WithTimeout(t.Context(), Timeout)
		defer cancel()
		n := &names{answers: map[string][]string{"git.example.test": {"93.184.215.14", "127.0.0.1"}}}
		w, err := remote("git.example.test", &reach.Rules{Resolver: n}).open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(w.config); !strings.Contains(got, "git.example.test:"+port+":93.184.215.14]") {
			t.Errorf("git is told %s", got)
		}
		if n.asked.Load() != 1 || seen.Load() != before {
			t.Errorf("it was resolved %d times", n.asked.Load())
		}
	})
}

// TestHostsThatLeadElsewhere redirects to where no repository may lead.
func TestHostsThatLeadElsewhere(t *testing.T) {
	server := gittest.Start(t)
	want := server.Repository(t, "a").Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	elsewhere, _, seen := counted(t, server)
	const tail = "/info/refs?service=git-upload-pack"
	for name, to := range map[string]string{
		"another port":         elsewhere + "/a.git" + tail,
		"a file":               "file:///etc/passwd",
		"the metadata service": "http://169.254.169.254/latest/meta-data" + tail,
		"the host in decimal":  strings.Replace(elsewhere, "127.0.0.1", "2130706433", 1) + "/a.git" + tail,
		"another host":         strings.Replace(elsewhere, "127.0.0.1", "localhost", 1) + "/a.git" + tail,
		"with a user":          strings.Replace(elsewhere, "http://", "http://me:hunter2@", 1) + "/a.git" + tail,
		"itself":               "",
	} {
		t.Run(name, func(t *testing.T) {
			leads := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, cmp.Or(to, r.URL.String()), http.StatusFound)
			}))
			t.Cleanup(leads.Close)
			for _, token := range []messages.Secret{{}, messages.NewSecret("s3cr3t-token")} {
				_, err := Head(t.Context(), Remote{URL: leads.URL + "/a.git", Branch: "main", Token: token, Rules: &reach.Rules{Addresses: loopback}})
				if !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), "redirects") || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v", err)
				}
			}
		})
	}
	if seen.Load() != 0 {
		t.Errorf("%d requests came to another host", seen.Load())
	}
	t.Run("with the token in the address", func(t *testing.T) { // by a host that means harm, or a proxy before it
		for name, address := range map[string]func(user, password, header string) string{
			"in the path": func(_, password, _ string) string { return "https://elsewhere.example/" + password + tail },
			"in the host": func(_, password, _ string) string { return "https://" + password + ".example/a.git" + tail },
			"as its user": func(_, password, _ string) string { return "https://" + password + "@elsewhere.example/a.git" + tail },
			"as it came":  func(_, _, header string) string { return "https://elsewhere.example/" + header + tail },
		} {
			leads := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				http.Redirect(w, r, address(user, password, strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")), http.StatusFound)
			}))
			t.Cleanup(leads.Close)
			token := messages.NewSecret("s3cr3t-token")
			_, err := Head(t.Context(), Remote{URL: leads.URL + "/a.git", Branch: "main", Token: token})
			if err == nil || !strings.Contains(err.Error(), "another host") || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), Credential(token)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("to another path of its own", func(t *testing.T) {
		there, err := urlOf(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(there)
		leads := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rest, ok := strings.CutPrefix(r.URL.Path, "/old.git/"); ok {
				http.Redirect(w, r, "/a.git/"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
				return
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(leads.Close)
		r := Remote{URL: leads.URL + "/old.git", Branch: "main"}
		if got, err := Head(t.Context(), r); err != nil || got != want {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := Compare(t.Context(), r, "", want); err != nil || strings.TrimSpace(got.Message) != "change" {
			t.Errorf("compared: %+v, %v", got, err)
		}
	})
}
