package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/fenceline/fenceline/reach"
	"golang.org/x/net/http/httpproxy"
)

// way is how git is led to a remote: to an address that its rules allow and to no other, whatever a resolver or the host
// says meanwhile.
type way struct {
	Remote
	place   reach.Place
	path    string      // of the repository on its host
	address string      // what git is given for a URL
	config  [][2]string // for git
	env     []string    // for git
	nested  bool        // it is a submodule's
}

// open finds the way to a remote.
func (r Remote) open(ctx context.Context) (*way, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, fmt.Errorf("repository: %w", err)
	}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, errNoGit
	}
	w := &way{Remote: r}
	return w, w.to(ctx, u)
}

func (w *way) rules() *reach.Rules {
	if w.Rules == nil {
		return &reach.Rules{}
	}
	return w.Rules
}

// to leads to a URL. git gets it written anew, so that it can't read it otherwise than it was judged.
func (w *way) to(ctx context.Context, u *url.URL) error {
	place, err := reach.ParsePlace(u)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	w.place, w.path, w.config, w.env = place, u.Path, nil, nil
	if place.Scheme == "git" {
		return w.dialed(ctx, u)
	}
	w.address = (&url.URL{Scheme: place.Scheme, Host: place.Address(), Path: u.Path, RawPath: u.RawPath}).String()
	addresses, err := w.rules().Resolve(ctx, place, w.By)
	if err != nil && !errors.As(err, new(*reach.DeniedError)) && w.proxied(ctx) {
		return nil // the proxy finds the address
	}
	if err != nil {
		return w.allowed(err)
	}
	if _, err := netip.ParseAddr(place.Host); err == nil {
		return nil
	}
	if err := Usable(ctx); err != nil {
		return err
	}
	list := make([]string, len(addresses))
	for i, a := range addresses {
		list[i] = a.String()
	}
	w.config = append(w.config, [2]string{"http.curloptResolve", place.Host + ":" + place.Port + ":" + strings.Join(list, ",")})
	return nil
}

// dialed leads to a git server by an address that answers. git tells the server the name that it was asked by.
func (w *way) dialed(ctx context.Context, u *url.URL) error {
	conn, err := w.rules().Dial(ctx, w.place, w.By)
	if err != nil {
		return w.allowed(err)
	}
	defer conn.Close()
	w.address = (&url.URL{Scheme: "git", Host: conn.RemoteAddr().String(), Path: u.Path, RawPath: u.RawPath}).String()
	w.env = []string{"GIT_OVERRIDE_VIRTUAL_HOST=" + w.place.Address()}
	return nil
}

// allowed tells what the rules forbid from a host that isn't found.
func (w *way) allowed(err error) error {
	var denied *reach.DeniedError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &denied):
		return fmt.Errorf("%w: %w: check the address and that its host is up", ErrUnreachable, err)
	case denied.Setting() != "":
		return fmt.Errorf("%w: %w: allow it by the setting %s if it is meant", ErrNotAllowed, err, denied.Setting())
	}
	return fmt.Errorf("%w: %w", ErrNotAllowed, err)
}

// proxied tells whether git reaches the place through a proxy, of the environment's or its own configuration's, as curl
// reads them. A proxy finds addresses itself, and what it may reach is its own matter.
func (w *way) proxied(ctx context.Context) bool {
	env := func(names ...string) string {
		for _, name := range names {
			if v := os.Getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	set, _, err := w.run(ctx, nil, "config", "--get-urlmatch", "http.proxy", w.address)
	if set = strings.TrimSpace(set); err != nil || set == "" {
		set = env("all_proxy", "ALL_PROXY")
	}
	c := httpproxy.Config{
		HTTPProxy: cmp.Or(env("http_proxy"), set), HTTPSProxy: cmp.Or(env("https_proxy", "HTTPS_PROXY"), set), NoProxy: env("no_proxy", "NO_PROXY"),
	}
	proxy, err := c.ProxyFunc()(&url.URL{Scheme: w.place.Scheme, Host: w.place.Address()})
	return err == nil && proxy != nil
}

// pinning is the first git that takes addresses for hosts: https://git-scm.com/docs/git-config#Documentation/git-config.txt-httpcurloptResolve
const pinningMajor, pinningMinor = 2, 37

// Usable tells whether the git of this machine can be kept to addresses, else what to do.
func Usable(ctx context.Context) error {
	out, _, err := (&way{}).run(ctx, nil, "version")
	if err != nil {
		return err
	}
	var major, minor int
	if _, err := fmt.Sscanf(out, "git version %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("%w: git tells no version: %q", ErrUnreachable, out)
	}
	if major < pinningMajor || major == pinningMajor && minor < pinningMinor {
		return fmt.Errorf("%w: git %d.%d is too old to be kept to the addresses that are allowed: install git %d.%d or later", ErrUnreachable, major, minor, pinningMajor, pinningMinor)
	}
	return nil
}

// mostRedirects bounds how often a host may lead to another place of its own.
const mostRedirects = 3

// follow does ask, which is a request of the remote, and does it again where the host redirects to another place of its own.
func (w *way) follow(ctx context.Context, ask func() error) error {
	for n := 0; ; n++ {
		err := ask()
		var led *ledError
		if !errors.As(err, &led) {
			return err
		}
		next, known := w.redirect(ctx)
		if !known {
			return err
		}
		if n == mostRedirects {
			return fmt.Errorf("%w: its host redirects again and again: correct the pipeline's repository", ErrNoRepository)
		}
		place, placeErr := reach.ParsePlace(next)
		if placeErr != nil || !w.place.Same(place) {
			return fmt.Errorf("%w: its host redirects to %s, another host, which is not followed: if it is meant, give that address", led.class, clip(w.hide(next.Redacted())))
		}
		if err := w.to(ctx, next); err != nil {
			return err
		}
	}
}

// located is the header of a redirect in what git traces of curl's requests.
var located = regexp.MustCompile(`(?mi)<= Recv header: location: (\S+)\r?$`)

// redirect is where the host leads for the place that was asked.
func (w *way) redirect(ctx context.Context) (*url.URL, bool) {
	trace, _ := w.start(ctx, io.Discard, []string{"GIT_TRACE_CURL=2", "GIT_TRACE_CURL_NO_DATA=1"}, "git", "ls-remote", "--", w.address, "HEAD")
	found := located.FindAllStringSubmatch(trace, -1)
	if found == nil {
		return nil, false
	}
	asked, err := url.Parse(w.address + "/info/refs")
	if err != nil {
		return nil, false
	}
	next, err := asked.Parse(found[len(found)-1][1])
	if err != nil {
		return nil, false
	}
	path, ok := strings.CutSuffix(next.EscapedPath(), "/info/refs")
	if next.Path, err = url.PathUnescape(path); err != nil {
		return nil, false
	}
	next.RawPath, next.RawQuery, next.Fragment = path, "", ""
	return next, ok || next.Host != asked.Host
}

// ledError is a redirect.
type ledError struct {
	class error // what it comes to where it isn't followed
	text  string
}

func (e *ledError) Error() string { return e.class.Error() + ": " + e.text }

func (e *ledError) Unwrap() error { return e.class }

// clip shortens what a host says.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
