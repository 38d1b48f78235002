package docker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// The suite passes on the machine's engine in the oldest version of the API in which it pulls by digest, and in the
// last that brought what is used here, and asks for nothing that came after it. Of engines before that Docker 1.3 is tried itself: an
// engine of today keeps images otherwise, whatever version it is asked in.
func TestEngineConformsInOlderVersions(t *testing.T) {
	for _, version := range []string{"1.22", "1.24"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := machine()
			s.host = inVersion(t, version)
			enginetest.Run(t, s.fixture)
		})
	}
}

// since says with which version of the API came what a request may hold: endpoints as METHOD PATH with * for a name,
// parameters after a ?, fields of a body after a space. What is not listed no request may hold.
var since = map[string]string{
	"GET /version": "1.0", "GET /info": "1.0", "GET /events": "1.0", "GET /events?filters": "1.16", "POST /images/load": "1.7",
	"POST /images/load?quiet": "1.7", // which older ones pass over
	"GET /images/json":        "1.0", "GET /images/*/json": "1.0", "DELETE /images/*": "1.0", "POST /images/*/tag": "1.0", "POST /images/*/tag?repo": "1.0", "POST /images/*/tag?tag": "1.6",
	"POST /images/create": "1.0", "POST /images/create?fromImage": "1.0", "POST /images/create?tag": "1.0", "POST /images/create?fromSrc": "1.0", "POST /images/create?repo": "1.0",
	"GET /containers/json": "1.0", "GET /containers/json?all": "1.0", "GET /containers/json?filters": "1.10", "GET /containers/*/json": "1.0",
	"POST /containers/create": "1.0", "POST /containers/create Image": "1.0", "POST /containers/create User": "1.0", "POST /containers/create Env": "1.0", "POST /containers/create Cmd": "1.0",
	"POST /containers/create Entrypoint": "1.0", "POST /containers/create NetworkDisabled": "1.5", "POST /containers/create HostConfig": "1.15", "POST /containers/create Labels": "1.18",
	"POST /containers/create StopSignal": "1.21", "POST /containers/create Healthcheck": "1.24", "POST /containers/create HostConfig.NetworkMode": "1.15",
	"POST /containers/create HostConfig.Memory": "1.18", "POST /containers/create HostConfig.LogConfig": "1.18", "POST /containers/create HostConfig.PidsLimit": "1.23",
	"GET /events?until": "1.0", "POST /containers/create?name": "1.6", "POST /containers/create Memory": "1.0", "POST /containers/*/start NetworkMode": "1.10",
	"POST /containers/*/copy": "1.0", "POST /containers/*/copy Resource": "1.0",
	"POST /containers/*/start": "1.0", "POST /containers/*/wait": "1.0", "GET /containers/*/logs": "1.11", "GET /containers/*/logs?stdout": "1.11", "GET /containers/*/logs?stderr": "1.11", "GET /containers/*/logs?tail": "1.11",
	"DELETE /containers/*": "1.0", "DELETE /containers/*?force": "1.11", "DELETE /containers/*?v": "1.0",
	"HEAD /containers/*/archive": "1.20", "HEAD /containers/*/archive?path": "1.20", "GET /containers/*/archive": "1.20", "GET /containers/*/archive?path": "1.20",
	"GET /volumes": "1.21", "GET /volumes?filters": "1.21", "POST /volumes/create": "1.21", "POST /volumes/create Name": "1.21", "POST /volumes/create Driver": "1.21", "POST /volumes/create Labels": "1.23", "DELETE /volumes/*": "1.21",
}

// Between Docker 1.0 and 1.10 an engine gets more of what a trial asks for with each version, and nothing too early. It
// is one that answers as those do and keeps nothing.
func TestOlderVersionsAreAskedForWhatTheyHave(t *testing.T) {
	for version, wants := range map[string][]string{
		"1.12": {"POST /containers/create Memory", "POST /containers/create?name", "POST /containers/*/start NetworkMode", "POST /containers/*/copy Resource"},
		"1.15": {"POST /containers/create Memory", "POST /containers/create?name", "POST /containers/create HostConfig.NetworkMode", "POST /containers/*/copy Resource"},
		"1.18": {"POST /containers/create Labels", "POST /containers/create HostConfig.Memory", "GET /containers/json?filters", "POST /containers/*/copy Resource"},
		"1.20": {"POST /containers/create Labels", "HEAD /containers/*/archive?path"},
		"1.21": {"POST /containers/create StopSignal", "HEAD /containers/*/archive?path"},
	} {
		t.Run(version, func(t *testing.T) {
			var mu sync.Mutex
			asked := map[string]bool{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/_ping" && r.URL.Path != "/version" {
					parts, newer := partsOf(version, r)
					mu.Lock()
					for _, p := range parts {
						asked[p] = true
					}
					mu.Unlock()
					if newer != "" {
						t.Errorf("it was asked for %s", newer)
					}
				}
				answerAsOld(w, r, version)
			}))
			t.Cleanup(server.Close)
			e, err := docker.New(docker.Config{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			image := messages.Image("r.example/base@sha256:" + strings.Repeat("ab", 32))
			got, err := e.Trial(t.Context(), distributor.Trial{Owner: "f.node", Rollout: "r", Image: image, Timeout: time.Minute})
			if err != nil || !got.Passed {
				t.Errorf("the trial: %+v, error %v", got, err)
			}
			if n, err := e.RemoveTrials(t.Context(), "f.node"); err != nil || n != 1 {
				t.Errorf("%d containers were left, error %v", n, err)
			}
			if all, err := e.Containers(t.Context()); err != nil || len(all) != 1 || all[0].Name != "app" || all[0].ImageID != strings.Repeat("ab", 32) || !all[0].Running {
				t.Errorf("the containers are %+v, error %v", all, err)
			}
			if err := e.AddNote(t.Context(), distributor.Note{Kind: distributor.NotePull, Realm: "fenceline.local/f", Text: string(image)}); err != nil {
				t.Error(err)
			}
			if _, err := e.Notes(t.Context()); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, want := range wants {
				if !asked[want] {
					t.Errorf("it was not asked for %s", want)
				}
			}
		})
	}
}

// answerAsOld answers as an engine of an older API that has one app, one container that a trial left, and every image
// that it is asked for but notes.
func answerAsOld(w http.ResponseWriter, r *http.Request, version string) {
	id := strings.Repeat("ab", 32)
	say := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	switch path := strings.TrimPrefix(r.URL.Path, "/v"+version); {
	case path == "/_ping" && r.Method == http.MethodHead:
		say(http.StatusNotFound, "")
	case path == "/version":
		say(http.StatusOK, `{"ApiVersion":"`+version+`"}`)
	case path == "/containers/create":
		say(http.StatusCreated, `{"Id":"c1","Warnings":null}`)
	case path == "/containers/json":
		left := `"Names":["/x"],"Labels":{"fenceline.trial":"r","fenceline.owner":"f.node"}`
		if versions.LessThan(version, "1.18") {
			left = `"Names":["/fenceline-trial-` + base64.RawURLEncoding.EncodeToString([]byte(`{"fenceline.trial":"r","fenceline.owner":"f.node"}`)) + `"]`
		}
		app := `{"Id":"a1","Names":["/app"],"Image":"base:1","Status":"Up 3 minutes","Ports":[]}`
		if strings.Contains(r.URL.Query().Get("filters"), "fenceline.trial") {
			say(http.StatusOK, `[{"Id":"c2",`+left+`,"Status":"Exited (0)"}]`)
			return
		}
		say(http.StatusOK, `[`+app+`,{"Id":"c2",`+left+`,"Status":"Exited (0)"}]`)
	case strings.HasSuffix(path, "/wait"):
		say(http.StatusOK, `{"StatusCode":0}`)
	case strings.HasPrefix(path, "/containers/") && strings.HasSuffix(path, "/json"):
		say(http.StatusOK, `{"Id":"c1","Image":"`+id+`","Config":{"User":"","Cpuset":""},"State":{"Running":true,"StartedAt":"0001"},"NetworkSettings":{"PortMapping":null}}`)
	case strings.HasSuffix(path, "/copy"):
		say(http.StatusInternalServerError, "Could not find the file in container c1")
	case strings.HasSuffix(path, "/archive"), strings.HasPrefix(path, "/images/fenceline.local/note:") && r.Method == http.MethodGet:
		say(http.StatusNotFound, "No such image")
	case path == "/images/json":
		say(http.StatusOK, `[]`)
	case strings.HasPrefix(path, "/images/") && strings.HasSuffix(path, "/json"):
		say(http.StatusOK, `{"Id":"`+id+`","Config":{"Memory":0}}`)
	case r.Method == http.MethodDelete && strings.HasPrefix(path, "/images/"):
		say(http.StatusOK, `[]`)
	case path == "/events":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		say(http.StatusOK, "")
	}
}

// named are the paths that have a name in them.
var named = regexp.MustCompile(`^/(images|containers|volumes)/(.+?)(/json|/tag|/start|/wait|/logs|/archive|/copy)?$`)

// inVersion is the address of the machine's engine as one whose newest API is a version.
func inVersion(t *testing.T, version string) string {
	t.Helper()
	direct, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	dial := direct.Dialer()
	onward := &httputil.ReverseProxy{
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // of calls that were given up
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "engine"}) },
		Transport:     &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }},
	}
	dir, err := os.MkdirTemp("", "old") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/_ping" && r.Method == http.MethodHead: // since 1.40
			http.NotFound(w, r)
			return
		case r.URL.Path == "/_ping":
			w.Header().Set("Api-Version", version)
			_, _ = io.WriteString(w, "OK")
			return
		}
		if newer := newerThan(version, r); newer != "" {
			t.Errorf("an engine of API %s was asked for %s", version, newer)
			http.Error(w, newer+" is too new", http.StatusBadRequest)
			return
		}
		onward.ServeHTTP(w, r)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	return "unix://" + socket
}

// newerThan is what a request holds that a version of the API has not, or "".
func newerThan(version string, r *http.Request) string {
	_, newer := partsOf(version, r)
	return newer
}

// partsOf is what a request holds, and what of it a version of the API has not, or "".
func partsOf(version string, r *http.Request) (parts []string, newer string) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v"+version)
	if !ok {
		return nil, r.URL.Path + " in another version"
	}
	if at := named.FindStringSubmatch(path); at != nil && since[r.Method+" "+path] == "" {
		path = "/" + at[1] + "/*" + at[3]
	}
	call := r.Method + " " + path
	parts = []string{call}
	for p := range r.URL.Query() {
		parts = append(parts, call+"?"+p)
	}
	if r.Header.Get("Content-Type") == "application/json" {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var fields map[string]json.RawMessage
		_ = json.Unmarshal(body, &fields)
		for f, text := range fields {
			parts = append(parts, call+" "+f)
			var inner map[string]json.RawMessage
			if f == "HostConfig" && json.Unmarshal(text, &inner) == nil {
				for in := range inner {
					parts = append(parts, fmt.Sprintf("%s %s.%s", call, f, in))
				}
			}
		}
	}
	for _, p := range parts {
		if came := since[p]; came == "" || versions.LessThan(version, came) {
			return parts, p
		}
	}
	return parts, ""
}
