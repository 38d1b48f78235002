package producer

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// FuzzHooks has every forge read any body, and check any signature.
func FuzzHooks(f *testing.F) {
	all := senders()
	for i, s := range all {
		f.Add(i, s.payload(baseURL, mainRef, testCommit), "sha256=00", "push")
	}
	files, err := filepath.Glob(filepath.Join("testdata", "hooks", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("%d payloads, %v", len(files), err)
	}
	for i, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for k, s := range all {
			if strings.HasPrefix(filepath.Base(name), s.forge) {
				f.Add(k, string(body), "v1,"+strings.Repeat("A", i), []string{"push", "System Hook", "create", "ping"}[i%4])
			}
		}
	}
	secret, err := newHookSecret(messages.NewSecret(testSecret))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, i int, body, signature, kind string) {
		s := all[uint(i)%uint(len(all))]
		of := slices.IndexFunc(forges(), func(f forge) bool { return f.name() == s.forge })
		r := s.hook(testSecret, body)
		if s.event != nil {
			s.event(r.Header, kind)
		}
		d, err := forges()[of].read(r.Header, []byte(body))
		for _, e := range d.events {
			_, branch := e.branch()
			_, tag := e.tag()
			if err == nil && (e.ref == "" || (branch || tag) && e.deleted != (e.commit == "") || !e.deleted && (branch || tag) && messages.CheckCommit(e.commit) != nil) {
				t.Errorf("accepted %+v", e)
			}
			if err == nil && len(e.repositories) == 0 && e.hostless == "" {
				t.Errorf("accepted %+v of no repository", e)
			}
		}
		for name := range r.Header {
			if n := strings.ToLower(name); strings.Contains(n, "signature") || strings.Contains(n, "token") || n == "authorization" {
				r.Header[name] = []string{signature}
			}
		}
		p, err := forges()[of].proof(r.Header, time0(r.Header))
		if err == nil && !strings.Contains(signature, testSecret) && !strings.HasPrefix(signature, "Basic") && p([]byte(body+"x"), secret.keys[0]) {
			t.Errorf("signature %q verifies", signature)
		}
	})
}

// FuzzForms compares what is read of a form with what the standard library reads.
func FuzzForms(f *testing.F) {
	for _, s := range []string{"payload=%7B%7D", "a=b&payload=x+y", "payload=%", "payload=%zz&payload=1", "&&=", "payload", "payload=%C3%BC"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, form []byte) {
		values, wrong := url.ParseQuery(string(form))
		got, err := formPayload(slices.Clone(form))
		if len(got) > len(form) {
			t.Errorf("%q grew to %q", form, got)
		}
		if wrong == nil && err == nil && strings.HasPrefix(string(form), "payload=") && string(got) != values.Get("payload") {
			t.Errorf("of %q it reads %q; want %q", form, got, values.Get("payload"))
		}
		h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		_ = isForm(h, form)
	})
}

// FuzzPlaces has every URL be one place, whatever is done to its form.
func FuzzPlaces(f *testing.F) {
	for _, s := range []string{baseURL, "git@git.example.com:ops/base.git", "ssh://git@h:22/a", "https://h:99999/a", "https://[::1]/a", "://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := placeOf(s)
		if p != "" && (strings.HasPrefix(string(p), "/") || !strings.Contains(string(p), "/")) {
			t.Errorf("%q is at %q", s, p)
		}
	})
}
