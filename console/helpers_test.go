package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// hostile is text as a stranger would send it, to be neither run nor obeyed.
const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)> "'&` + "\x1b[2J\x1b]0;own\x07"

func imageOf(n int) messages.Image {
	return messages.Image(fmt.Sprintf("registry.example.com/base@sha256:%064d", n))
}

// site is a console over a server of its own, with its file of tokens.
type site struct {
	nats   *queuetest.Server
	admin  *queue.Client // who writes the records
	it     *Console
	http   *httptest.Server
	file   string
	tokens map[string]string // by name
	small  atomic.Bool       // connections that are made hold little that was not read
	held   sync.Map          // those, as the console has them
}

// newSite starts a console with a viewer and two operators. Change may change what it is made of; at is its address.
func newSite(t *testing.T, change ...func(c *Config, at string)) *site {
	t.Helper()
	return newSiteAt(t, nil, change...)
}

// newSiteAt starts it with a NATS server of other options.
func newSiteAt(t *testing.T, nats func(*server.Options), change ...func(c *Config, at string)) *site {
	t.Helper()
	var options []func(*server.Options)
	if nats != nil {
		options = append(options, nats)
	}
	s, as := queuetest.Guarded(t, options...)
	admin := as("admin")
	queuetest.Must(t, store.Declare(queuetest.Within(t), admin, store.Layout{NodeTTL: time.Hour}))
	out := &site{nats: s, admin: admin, file: filepath.Join(t.TempDir(), "tokens"), tokens: map[string]string{}}
	for name, role := range map[string]tokens.Role{"ada": tokens.Operator, "bob": tokens.Operator, "vera": tokens.Viewer} {
		out.add(t, name, role)
	}
	followed, err := tokens.Follow(out.file, func(error) {})
	queuetest.Must(t, err)
	out.http = httptest.NewUnstartedServer(nil)
	c := Config{Queue: as("console"), Tokens: followed, Logger: zerolog.New(pagesThatFail{t})}
	for _, do := range change {
		do(&c, "http://"+out.http.Listener.Addr().String())
	}
	out.it, err = New(c)
	queuetest.Must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- out.it.Run(ctx) }()
	out.http.Config = NewServer(out.it.Handler(), zerolog.Nop())
	out.http.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if tcp, is := c.(*net.TCPConn); is && out.small.Load() {
			_ = tcp.SetWriteBuffer(1) // the kernel makes it its least
			out.held.Store(c, nil)
		}
		return ctx
	}
	out.http.Start()
	t.Cleanup(func() {
		cancel()
		out.http.Close()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Errorf("the console ended with %v", err)
		}
	})
	return out
}

// add adds a person to the file.
func (s *site) add(t *testing.T, name string, role tokens.Role) {
	t.Helper()
	token, entry, err := tokens.Make(name, role, time.Now())
	queuetest.Must(t, err)
	queuetest.Must(t, tokens.Add(s.file, entry))
	s.tokens[name] = token.Reveal()
}

// let lets another person sign in, once the console has read the file again.
func (s *site) let(t *testing.T, name string, role tokens.Role) {
	t.Helper()
	s.add(t, name, role)
	queuetest.Eventually(t, name+" may sign in", func() bool { _, known := s.it.tokens.Find(s.tokens[name]); return known })
}

// pagesThatFail fails a test of a page that can't be made.
type pagesThatFail struct{ t *testing.T }

// Write takes a line of the console's log.
func (p pagesThatFail) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "can't be made") {
		p.t.Errorf("%s", line)
	}
	return len(line), nil
}

// fleet makes a fleet with a current and a previous image, and so many nodes that have both.
func (s *site) fleet(t *testing.T, name string, nodes int) {
	t.Helper()
	_, err := store.Fleets(s.admin).Create(queuetest.Within(t), name, messages.FleetRecord{
		Fleet: name, ID: "id", Epoch: 2, Decision: "x", Current: messages.FleetImage{Image: imageOf(2), Build: "base-2", Order: 2},
		Previous: messages.FleetImage{Image: imageOf(1), Build: "base-1", Order: 1}, Highest: 2, Applied: messages.Applied{Epoch: 2},
	})
	queuetest.Must(t, err)
	for n := range nodes {
		s.node(t, name, fmt.Sprintf("node-%05d", n), nil)
	}
}

// node sends a node's heartbeat, and makes it a member.
func (s *site) node(t *testing.T, fleet, name string, change func(*messages.NodeStatus)) {
	t.Helper()
	key := messages.NodeKey(fleet, name)
	if _, err := store.Members(s.admin).Get(t.Context(), key); err != nil {
		queuetest.Must(t, store.Members(s.admin).Note(key, messages.Member{Fleet: fleet, Node: name, Joined: time.Now()}))
	}
	s.beat(t, fleet, name, change)
}

// beat sends a node's heartbeat.
func (s *site) beat(t *testing.T, fleet, name string, change func(*messages.NodeStatus)) {
	t.Helper()
	queuetest.Must(t, store.Nodes(s.admin).Note(messages.NodeKey(fleet, name), status(fleet, name, change)))
}

func status(fleet, name string, change func(*messages.NodeStatus)) messages.NodeStatus {
	v := messages.NodeStatus{
		Fleet: fleet, Node: name, Instance: "i", Beat: 1, Interval: messages.Duration(10 * time.Second), Version: "v1", Revision: 1, FreeBytes: 1 << 35,
		Engine: messages.Engine{Name: "docker", Version: "29.0", ID: "engine-of-" + name}, Labels: map[string]string{"rack": "a"},
		Images: []messages.PresentImage{{Image: imageOf(1), ID: "sha256:1", Local: "l1"}, {Image: imageOf(2), ID: "sha256:2", Local: "l2"}},
	}
	if change != nil {
		change(&v)
	}
	return v
}

// browser is somebody's browser.
type browser struct {
	site   *site
	client *http.Client
}

// as is the browser of a person who has signed in; "" of nobody.
func (s *site) as(t *testing.T, name string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	queuetest.Must(t, err)
	b := &browser{s, &http.Client{Jar: jar, Timeout: queuetest.TestTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if name != "" {
		if a := b.post(t, "/sign-in", url.Values{"token": {s.tokens[name]}}); a.status != http.StatusSeeOther {
			t.Fatalf("%s can't sign in: %d", name, a.status)
		}
	}
	return b
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (b *browser) do(t *testing.T, r *http.Request) answer {
	t.Helper()
	resp, err := b.client.Do(r)
	queuetest.Must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	queuetest.Must(t, err)
	return answer{resp.StatusCode, string(body), resp.Header}
}

func (b *browser) get(t *testing.T, path string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.site.http.URL+path, nil)
	queuetest.Must(t, err)
	return b.do(t, r)
}

func (b *browser) post(t *testing.T, path string, form url.Values, change ...func(*http.Request)) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.site.http.URL+path, strings.NewReader(form.Encode()))
	queuetest.Must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, f := range change {
		f(r)
	}
	return b.do(t, r)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="(form|to)" value="([^"]*)">`)

// form is the form of a page, filled in with a reason.
func (b *browser) form(t *testing.T, path, reason string) url.Values {
	t.Helper()
	page := b.get(t, path)
	out := url.Values{"reason": {reason}}
	for _, m := range hidden.FindAllStringSubmatch(page.body, -1) {
		out.Set(m[1], m[2])
	}
	if out.Get("form") == "" {
		t.Fatalf("%s has no form: %d %s", path, page.status, page.body)
	}
	return out
}

// until gets a page again and again until it holds.
func (b *browser) until(t *testing.T, path, what string, holds func(answer) bool) answer {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(queuetest.TestTime); ; {
		a := b.get(t, path)
		if holds(a) {
			return a
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it did not come to pass that %s: %d %s", what, a.status, a.body)
		}
	}
}

func says(text string) func(answer) bool {
	return func(a answer) bool { return strings.Contains(a.body, text) }
}

// listen opens a page's stream, and gives each event as it comes.
func (b *browser) listen(t *testing.T, path string) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.site.http.URL+path, nil)
	queuetest.Must(t, err)
	client := *b.client
	client.Timeout = 0
	resp, err := client.Do(r)
	queuetest.Must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream %s: %d", path, resp.StatusCode)
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 64<<20)
		event := ""
		for lines.Scan() {
			if lines.Text() == "" && event != "" {
				out <- event
				event = ""
			} else if !strings.HasPrefix(lines.Text(), ":") {
				event += lines.Text() + "\n"
			}
		}
	}()
	return out
}

// open asks for a page's stream, and never reads: nor does the kernel take much for it.
func (b *browser) open(t *testing.T, path string) net.Conn {
	t.Helper()
	b.site.small.Store(true)
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) }), err)
	}}
	conn, err := small.DialContext(t.Context(), "tcp", b.site.http.Listener.Addr().String())
	queuetest.Must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	r, err := http.NewRequest(http.MethodGet, b.site.http.URL+path, nil)
	queuetest.Must(t, err)
	for _, c := range b.client.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	queuetest.Must(t, r.Write(conn))
	return conn
}

// fromTheStart is a stream's path for a page that has nothing yet.
func fromTheStart(path string) string {
	return strings.Replace(path, "since=", "was=", 1) + "&since=earlier-1"
}

// await takes events until one has a text.
func await(t *testing.T, events <-chan string, text string) string {
	t.Helper()
	for late := time.After(queuetest.TestTime); ; {
		select {
		case e, open := <-events:
			if strings.Contains(e, text) {
				return e
			}
			if !open {
				t.Fatalf("the stream ended without %q", text)
			}
		case <-late:
			t.Fatalf("no event has %q", text)
		}
	}
}

var eventsOf = regexp.MustCompile(`data-events="([^"]*)"`)

// streamOf is the path of a page's stream.
func streamOf(t *testing.T, a answer) string {
	t.Helper()
	m := eventsOf.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("the page has no stream: %s", a.body)
	}
	return strings.ReplaceAll(m[1], "&amp;", "&")
}
