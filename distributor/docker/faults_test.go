package docker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// The texts are those of Docker 20.10 and of containerd's image store.
func TestErrorsOfAPullAreSorted(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"disk full while a layer is unpacked": {&jsonstream.Error{Message: "failed to register layer: write /var/lib/docker/tmp: no space left on device"}, distributor.ErrNoSpace},
		"a layer that can't be unpacked":      {errors.New("failed to register layer: Error processing tar file(exit status 1): unexpected EOF"), nil},
		"content of the store that is gone":   {errdefs.ErrNotFound.WithMessage("failed to lease content: rpc error: code = NotFound desc = blob sha256:0 expected at /x: blob not found: not found"), distributor.ErrDamaged},
		"registry gone":                       {errdefs.ErrInternal.WithMessage(`Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused`), distributor.ErrRegistry},
		"registry unknown to DNS":             {errors.New(`Get "https://r.example/v2/": dial tcp: lookup r.example: no such host`), distributor.ErrRegistry},
		"registry without TLS":                {errors.New("http: server gave HTTP response to HTTPS client"), distributor.ErrRegistry},
		"no such manifest":                    {errdefs.ErrNotFound.WithMessage("manifest for r.example/x@sha256:0 not found: manifest unknown: manifest unknown"), distributor.ErrNotFound},
		"password asked for":                  {errdefs.ErrInternal.WithMessage(`Get "https://r.example/v2/x": unauthorized: authentication required`), distributor.ErrUnauthorized},
		"access denied":                       {errdefs.ErrNotFound.WithMessage("pull access denied for x, repository does not exist or may require 'docker login'"), distributor.ErrUnauthorized},
		"denied in short":                     {errdefs.ErrInternal.WithMessage(`Head "https://ghcr.io/v2/x/manifests/sha256:0": denied`), distributor.ErrUnauthorized},
		"containerd is down":                  {errdefs.ErrUnknown.WithMessage(`connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"`), distributor.ErrEngine},
		"a layer that can't be read":          {errors.New("archive/tar: invalid tar header"), nil},
	} {
		if got := kindOf(c.err); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// An engine that is older than any that is spoken to is refused, with its version and what to do.
func TestAnEngineThatIsTooOldIsTold(t *testing.T) {
	for api, says := range map[string]string{"1.11": "its API is 1.11", "1.8": "its API is 1.8", "": "it names no version"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/version" {
				_, _ = fmt.Fprintf(w, `{"Version":"0.7.6","ApiVersion":%q}`, api)
			}
		}))
		defer server.Close()
		e, err := New(Config{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for doing, call := range map[string]func() error{
			"info":   func() error { _, err := e.Info(t.Context()); return err },
			"images": func() error { _, err := e.Images(t.Context()); return err },
		} {
			if err := call(); err == nil || !strings.Contains(err.Error(), "the engine is too old: "+says) || !strings.Contains(err.Error(), "API 1.12 (Docker 1.0) or later") || errors.Is(err, distributor.ErrEngine) {
				t.Errorf("%s of an engine of API %q: %v", doing, api, err)
			}
		}
	}
}

// breaking is an engine that answers /_ping, and breaks off every other answer after its beginning.
func breaking(t *testing.T, beginning string) *Engine {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if r.URL.Path == "/_ping" {
			return
		}
		if beginning != "" {
			_, _ = io.WriteString(w, beginning)
			_ = http.NewResponseController(w).Flush()
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.(*net.TCPConn).SetLinger(0) // a reset, as of a process that was killed
		c.Close()
	}))
	t.Cleanup(server.Close)
	e, err := New(Config{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// A connection that the engine breaks off is not the registry's.
func TestAConnectionThatBreaksIsTheEngines(t *testing.T) {
	image := messages.Image("r.example/base@sha256:" + strings.Repeat("0", 64))
	line := `{"status": "Downloading", "id": "a", "progressDetail": {"current": 1, "total": 9}}` + "\n{"
	for _, beginning := range []string{"", line} {
		_, err := breaking(t, beginning).Pull(t.Context(), image, func(distributor.Progress) {})
		if !errors.Is(err, distributor.ErrEngine) || errors.Is(err, distributor.ErrRegistry) {
			t.Errorf("pulling, broken off after %q: %v, want ErrEngine", beginning, err)
		}
	}
	for _, beginning := range []string{"", "["} {
		if _, err := breaking(t, beginning).Images(t.Context()); !errors.Is(err, distributor.ErrEngine) {
			t.Errorf("listing, broken off after %q: %v, want ErrEngine", beginning, err)
		}
	}
}

// What no registry was asked for is not blamed on one.
func TestOnlyAPullBlamesTheRegistry(t *testing.T) {
	e := breaking(t, "")
	cause := errors.New("plugin: dial tcp 10.0.0.1:80: connect: connection refused")
	if err := e.fault(t.Context(), "listing images", cause); errors.Is(err, distributor.ErrRegistry) || !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

// An engine that answers 500 to everything is named with what was being done, its words, and what to do.
func TestAnEngineThatAnswers500(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if r.URL.Path == "/_ping" {
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"message": "database is locked"}`)
	}))
	t.Cleanup(server.Close)
	host := "tcp://" + strings.TrimPrefix(server.URL, "http://")
	e, err := New(Config{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	image := messages.Image("r.example/base@sha256:" + strings.Repeat("0", 64))
	note := distributor.Note{Kind: distributor.NotePull, Realm: "fenceline.local/x", Text: string(image)}
	for doing, call := range map[string]func() error{
		"asking for the version": func() error { _, err := e.Info(t.Context()); return err },
		"listing images":         func() error { _, err := e.Images(t.Context()); return err },
		"inspecting":             func() error { _, err := e.Inspect(t.Context(), image); return err },
		"pulling":                func() error { _, err := e.Pull(t.Context(), image, func(distributor.Progress) {}); return err },
		"loading": func() error {
			from, made := newMade(1)
			_, err := e.Load(t.Context(), made, from, func(distributor.Progress) {})
			return err
		},
		"tagging":            func() error { return e.Tag(t.Context(), image, "x") },
		"removing":           func() error { return e.Remove(t.Context(), "x") },
		"listing containers": func() error { _, err := e.Containers(t.Context()); return err },
		"listing notes":      func() error { _, err := e.Notes(t.Context()); return err },
		"keeping a note":     func() error { return e.AddNote(t.Context(), note) },
		"removing a note":    func() error { return e.RemoveNote(t.Context(), note) },
		"trial": func() error {
			_, err := e.Trial(t.Context(), distributor.Trial{Image: image, Timeout: time.Minute})
			return err
		},
		"listing trial containers": func() error { _, err := e.RemoveTrials(t.Context(), "x"); return err },
	} {
		err := call()
		if err == nil || errors.Is(err, distributor.ErrEngine) || errors.Is(err, distributor.ErrNotFound) || errors.Is(err, distributor.ErrImage) || errors.Is(err, distributor.ErrDamaged) {
			t.Errorf("%s: %v", doing, err)
			continue
		}
		for _, part := range []string{doing, host, "database is locked", "the engine failed", "journalctl"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v does not say %q", doing, err, part)
			}
		}
	}
	if err := e.Sound(t.Context()); err == nil {
		t.Error("it is sound")
	}
	if room, err := e.Room(t.Context(), image, nil); err != nil || room.Unknown != nil || room.Free >= 0 { // its disks are not to be seen
		t.Errorf("it was asked in vain what a pull takes: %+v, error %v", room, err)
	}
}

// An engine that is updated while the agent runs, or replaced by an older one, is spoken to in its own version.
func TestAnEngineThatSpeaksAnotherVersion(t *testing.T) {
	var speaks atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := speaks.Load().(string)
		w.Header().Set("Api-Version", version)
		switch {
		case r.URL.Path == "/_ping":
		case !strings.HasPrefix(r.URL.Path, "/v"+version+"/"):
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"message": "client version is too old or too new"}`)
		case strings.HasSuffix(r.URL.Path, "/images/json"):
			_, _ = io.WriteString(w, `[]`)
		case strings.Contains(r.URL.Path, "/images/"):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message": "No such image"}`)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	}))
	t.Cleanup(server.Close)
	speaks.Store("1.41")
	e, err := New(Config{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	image := messages.Image("r.example/base@sha256:" + strings.Repeat("0", 64))
	if _, err := e.Inspect(t.Context(), image); !errors.Is(err, distributor.ErrNotFound) { // the first call that there is
		t.Errorf("inspecting: %v, want ErrNotFound", err)
	}
	for _, version := range []string{"1.50", "1.44", "1.51"} {
		speaks.Store(version)
		got, err := e.Info(t.Context())
		if err != nil || got.API != version {
			t.Errorf("of version %s it says %+v, error %v", version, got, err)
		}
		if _, err := e.Images(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := e.Inspect(t.Context(), image); !errors.Is(err, distributor.ErrNotFound) {
			t.Errorf("inspecting: %v, want ErrNotFound", err)
		}
	}
}
