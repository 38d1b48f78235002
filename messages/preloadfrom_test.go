package messages

import (
	"strings"
	"testing"
)

func TestRepositoriesThatNodesMayFetchFrom(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		entry, name string
		allowed     bool
	}{
		{"registry.example.com", "registry.example.com/exampleco/newimg", true},
		{"registry.example.com/exampleco", "registry.example.com/exampleco/newimg", true},
		{"registry.example.com/exampleco/newimg", "registry.example.com/exampleco/newimg", true},
		{"registry.example.com:5000", "registry.example.com:5000/a", true},
		{"localhost:5000/a", "localhost:5000/a/b", true},
		{"debian", "docker.io/library/debian", true},
		{"docker.io/library/debian", "debian", true},
		{"docker.io", "debian", true},
		{"docker.io/library", "index.docker.io/debian", true},
		{"exampleco/newimg", "docker.io/exampleco/newimg", true},

		{"registry.example.com", "registry.example.com.evil.net/exampleco/newimg", false},
		{"registry.example.com", "evil.net/registry.example.com/newimg", false},
		{"registry.example.com", "registry.example.com:5000/a", false},
		{"registry.example.com:5000", "registry.example.com:50001/a", false},
		{"registry.example.com/exampleco", "registry.example.com/exampleco-evil/newimg", false},
		{"registry.example.com/exampleco", "registry.example.com/exampleco2", false},
		{"registry.example.com/exampleco", "registry.example.com/exampleco/../evil/a", false},
		{"registry.example.com/exampleco/newimg", "registry.example.com/exampleco", false},
		{"registry.example.com", "user@registry.example.com/a", false},
		{"registry.example.com", "registry.example.com", false}, // that is a repository of Docker Hub
		{"debian", "evil/debian", false},
		{"exampleco", "docker.io/exampleco/newimg", false}, // that is docker.io/library/exampleco
	} {
		if err := CheckPreloadFrom(c.entry); err != nil {
			t.Errorf("entry %s: %v", c.entry, err)
		}
		err := CheckPreload([]string{"other.example.com", c.entry}, Image(c.name+digest))
		if (err == nil) != c.allowed {
			t.Errorf("%s with %s: error %v, want allowed %t", c.name, c.entry, err, c.allowed)
		}
		if err != nil && (!strings.Contains(err.Error(), c.entry) || !strings.Contains(err.Error(), "preload_from")) {
			t.Errorf("%v does not say what is allowed", err)
		}
	}
	if err := CheckPreload(nil, Image("anything"+digest)); err != nil {
		t.Errorf("no list refuses: %v", err)
	}
	for _, entry := range []string{"", "/", "https://registry.example.com", "registry.example.com/", "registry.example.com/*", "a/b:tag", "Registry.example.com/A", "a@sha256:1", "a//b", ":5000", "host:port"} {
		if err := CheckPreloadFrom(entry); err == nil {
			t.Errorf("entry %q is taken", entry)
		}
	}
}

func TestWaysToPull(t *testing.T) {
	for _, bad := range []struct {
		pull Pull
		says string
	}{
		{Pull{Way: "torrent"}, "torrent"},
		{Pull{Way: PullMirrors}, "at least one"},
		{Pull{Way: PullLoad, Mirrors: []Mirror{{URL: "http://m:5000"}}}, "way: mirrors"},
		{Pull{Way: PullMirrors, Mirrors: []Mirror{{URL: "http://ann:secret@m:5000"}}}, "docker-config"},
		{Pull{Way: PullMirrors, Mirrors: []Mirror{{URL: "m:5000"}}}, "http://mirror.example.com:5000"},
		{Pull{Way: PullMirrors, Mirrors: []Mirror{{URL: "ftp://m"}}}, "ftp://m"},
		{Pull{Way: PullMirrors, Mirrors: []Mirror{{URL: "http://m/?x=1"}}}, "query"},
		{Pull{Way: PullMirrors, Mirrors: []Mirror{{URL: "http://m/../x"}}}, "lower case"},
		{Pull{Way: PullMirrors, Mirrors: []Mirror{{URL: "http://m", TimeLimit: -1}}}, "negative"},
	} {
		err := bad.pull.Validate()
		if err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%+v: error %v, want one that says %q", bad.pull, err, bad.says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v tells the password", err)
		}
	}
	p := &Pull{Way: PullMirrors, Mirrors: []Mirror{
		{URL: "http://127.0.0.1:5000"}, {URL: "http://a:5000", Labels: map[string]string{"rack": "a"}}, {URL: "http://b:5000", Labels: map[string]string{"rack": "b"}}, {URL: "https://all"},
	}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for rack, want := range map[string]string{"a": "http://a:5000", "b": "http://b:5000", "": "https://all"} {
		got := p.For(map[string]string{"rack": rack})
		if got.Shared() != want || got.Mirrors[0].URL != "http://127.0.0.1:5000" {
			t.Errorf("rack %q: %+v, shared %q", rack, got, got.Shared())
		}
	}
	if got := (*Pull)(nil).For(nil); got.Way != PullEngine || got.Shared() != "" {
		t.Errorf("a fleet that says nothing pulls by %+v", got)
	}
}
