package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// The versions of the API at which engines change in ways that matter here.
const (
	oldestAPI    = "1.12" // Docker 1.0: the oldest that is spoken to
	apiArchive   = "1.20" // Docker 1.8: files of a container are read by GET archive
	apiDigests   = "1.22" // Docker 1.10: images are kept by their content, pulled by digest, and loaded by manifest.json
	apiLabels    = "1.18" // Docker 1.6: containers have labels
	apiVolumes   = "1.23" // Docker 1.11: volumes have labels
	apiImageIDs  = "1.21" // Docker 1.9: a list of containers has the IDs of their images, and a look at an image its tags
	apiSetAtMake = "1.15" // Docker 1.3: a container is told of its host when it is made, not when it is started
)

// tooOldError says that an engine is older than any that is spoken to.
type tooOldError struct{ api string }

func (e tooOldError) Error() string {
	if e.api == "" {
		return "it names no version of its API"
	}
	return "its API is " + e.api
}

// gate is what requests to an engine pass, below the client of the API. That client speaks no API before
// client.MinAPIVersion: to an older engine each request goes in the engine's own version, changed to what that had,
// and its answer comes back as the client reads it. Only what this package asks for is translated.
type gate struct {
	next *http.Transport

	mu      sync.Mutex
	version string                     // the engine's API; "" while it was not asked
	hosts   map[string]json.RawMessage // by container: what it is to be told of its host at its start
	images  map[string]string          // by container: the ID of its image
}

// newGate makes the gate to an engine that is reached through a client's connections.
func newGate(c *client.Client) *gate {
	dial := c.Dialer()
	return &gate{
		next: &http.Transport{
			DialContext:  func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			MaxIdleConns: 6, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		},
		hosts: map[string]json.RawMessage{}, images: map[string]string{},
	}
}

// versioned is the part of a path that names a version.
var versioned = regexp.MustCompile(`/v[0-9.]+/`)

// RoundTrip passes a request on, as the engine knows it.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/_ping") {
		return g.ping(r)
	}
	version, err := g.speaks(r)
	if err != nil || !versions.LessThan(version, client.MinAPIVersion) {
		if err != nil {
			return nil, err
		}
		return g.next.RoundTrip(r)
	}
	o := oldCall{gate: g, version: version, r: r.Clone(r.Context())}
	at := versioned.FindStringIndex(r.URL.Path)
	if at == nil {
		return g.next.RoundTrip(r)
	}
	o.base, o.path = r.URL.Path[:at[0]]+"/v"+version, r.URL.Path[at[1]-1:]
	o.to(o.path)
	return o.do()
}

// ping passes a ping on. An answer without the API's version is given it, and that of an older engine the oldest
// version that the client knows.
func (g *gate) ping(r *http.Request) (*http.Response, error) {
	got, err := g.next.RoundTrip(r)
	if err != nil || got.StatusCode != http.StatusOK {
		return got, err
	}
	version := got.Header.Get("Api-Version")
	if version == "" {
		if version, err = g.ask(r); err != nil {
			_ = got.Body.Close()
			return nil, err
		}
	}
	if version == "" || versions.LessThan(version, oldestAPI) {
		_ = got.Body.Close()
		return nil, tooOldError{version}
	}
	g.mu.Lock()
	g.version = version
	g.mu.Unlock()
	if versions.LessThan(version, client.MinAPIVersion) {
		version = client.MinAPIVersion
	}
	got.Header.Set("Api-Version", version)
	return got, nil
}

// ask asks for the API's version, which every engine tells without being told one.
func (g *gate) ask(of *http.Request) (string, error) {
	r := of.Clone(of.Context())
	r.Method = http.MethodGet
	r.URL.Path = strings.TrimSuffix(r.URL.Path, "/_ping") + "/version"
	got, err := g.next.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = got.Body.Close() }()
	var said struct{ APIVersion string }
	if err := json.NewDecoder(io.LimitReader(got.Body, maxAnswer)).Decode(&said); err != nil && got.StatusCode == http.StatusOK {
		return "", fmt.Errorf("asking for the version of its API: %w", err)
	}
	return said.APIVersion, nil
}

// speaks is the engine's version of the API. It is asked where it is not known: no call is sent in a version that
// somebody guessed.
func (g *gate) speaks(of *http.Request) (string, error) {
	g.mu.Lock()
	version := g.version
	g.mu.Unlock()
	if version != "" {
		return version, nil
	}
	r := of.Clone(of.Context())
	r.Method, r.Body, r.ContentLength, r.URL.RawQuery = http.MethodGet, nil, 0, ""
	at := versioned.FindStringIndex(r.URL.Path)
	if at == nil {
		return client.MinAPIVersion, nil
	}
	r.URL.Path = r.URL.Path[:at[0]] + "/_ping"
	got, err := g.ping(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = got.Body.Close() }()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.version == "" { // it is not well: its answer to the call says how
		return client.MinAPIVersion, nil
	}
	return g.version, nil
}

// known is the engine's version of the API as it was told last, or "".
func (g *gate) known() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.version
}

// maxAnswer bounds an answer that is read as a whole.
const maxAnswer = 64 << 20

// oldCall is one request to an engine of an older API.
type oldCall struct {
	gate       *gate
	version    string
	base, path string // the path before the call's own, with the version; and its own
	r          *http.Request
}

// before tells whether the engine's API is older.
func (o *oldCall) before(version string) bool { return versions.LessThan(o.version, version) }

// to sets where the request goes, below the version.
func (o *oldCall) to(path string) { o.r.URL.Path, o.r.URL.RawPath = o.base+path, "" }

// do sends the request as the engine knows it.
func (o *oldCall) do() (*http.Response, error) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(o.path, "/"), "/")
	last := rest[strings.LastIndex(rest, "/")+1:]
	switch o.r.Method + " " + kind + " " + last {
	case "GET info ":
		return o.answer(o.info)
	case "GET images json":
		if rest == last {
			return o.send()
		}
		return o.answer(o.image)
	case "POST images create", "POST images tag":
		o.nameAsOld()
	case "GET events ":
		return o.events()
	case "GET containers json":
		if rest == last {
			return o.containers()
		}
		return o.answer(o.container)
	case "POST containers create":
		return o.create()
	case "POST containers start":
		return o.start(strings.TrimSuffix(rest, "/start"))
	case "POST containers wait":
		o.r.URL.RawQuery = "" // it waits for the end of what runs, or ran
	case "HEAD containers archive", "GET containers archive":
		if o.before(apiArchive) {
			return o.copy(strings.TrimSuffix(rest, "/archive"))
		}
	}
	return o.send()
}

// send sends the request as it is.
func (o *oldCall) send() (*http.Response, error) { return o.gate.next.RoundTrip(o.r) }

// answer sends the request, and changes the object that the engine answers.
func (o *oldCall) answer(change func(map[string]json.RawMessage) error) (*http.Response, error) {
	got, err := o.send()
	if err != nil || got.StatusCode >= http.StatusBadRequest {
		return got, err
	}
	var object map[string]json.RawMessage
	if err := read(got, &object); err != nil {
		return nil, err
	}
	if err := change(object); err != nil {
		return nil, err
	}
	return with(got, object)
}

// get asks the engine for something more.
func (o *oldCall) get(path string, into any) error {
	r := o.r.Clone(o.r.Context())
	r.Method, r.Body, r.ContentLength, r.URL.RawQuery = http.MethodGet, nil, 0, ""
	r.URL.Path, r.URL.RawPath = o.base+path, ""
	got, err := o.gate.next.RoundTrip(r)
	if err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		_ = got.Body.Close()
		return fmt.Errorf("asking for %s: it answers %s", path, got.Status)
	}
	return read(got, into)
}

// read reads an answer that is JSON, and ends it.
func read(got *http.Response, into any) error {
	defer func() { _ = got.Body.Close() }()
	return json.NewDecoder(io.LimitReader(got.Body, maxAnswer)).Decode(into)
}

// with gives an answer another content.
func with(got *http.Response, content any) (*http.Response, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	got.Body, got.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	got.Header.Del("Content-Length")
	got.Header.Set("Content-Type", "application/json")
	return got, nil
}

// leave takes off an object the fields that are used: an older engine writes others in forms that the client can't
// read.
func leave(object map[string]json.RawMessage, fields ...string) {
	all := map[string]bool{}
	for _, f := range fields {
		all[f] = true
	}
	for f := range object {
		if !all[f] {
			delete(object, f)
		}
	}
}
