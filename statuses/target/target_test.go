package target

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

const cloned = "https://git.example.com/ops/base.git"

func TestWhatIsLeftOutIsFilledIn(t *testing.T) {
	for name, test := range map[string]struct {
		forge       Forge
		cloned, url string
		api, repo   string
	}{
		"GitHub":                               {GitHub, "https://github.com/ops/base.git", "", "https://api.github.com", "ops/base"},
		"GitHub Enterprise Server":             {GitHub, cloned, "", "https://git.example.com/api/v3", "ops/base"},
		"GitHub Enterprise Server, by its API": {GitHub, cloned, "https://git.example.com/api/v3/", "https://git.example.com/api/v3", "ops/base"},
		"GitHub, in capitals":                  {GitHub, "https://GitHub.com/ops/base.git", "", "https://api.github.com", "ops/base"},
		"GitLab in a group of a group":         {GitLab, "https://gitlab.com/ops/images/base.git", "", "https://gitlab.com", "ops/images/base"},
		"Gitea below a path":                   {Gitea, "git://git.example.com/ops/base", "https://example.com/gitea/", "https://example.com/gitea", "ops/base"},
		"Bitbucket":                            {Bitbucket, "https://bitbucket.org/ops/base.git", "", "https://api.bitbucket.org", "ops/base"},
		"Bitbucket Data Center":                {BitbucketServer, "https://git.example.com:7990/scm/OPS/base.git", "", "https://git.example.com:7990", "OPS/base"},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := Target{Pipeline: "base", Forge: test.forge, URL: test.url, TokenFile: "token"}.Fill(test.cloned)
			if err != nil || x.API() != test.api || x.Repository != test.repo || x.Context != "fenceline/base" {
				t.Errorf("it is %+v at %s, %v", x, x.API(), err)
			}
		})
	}
}

// TestAnAddressWithoutTLSIsSeen however it is written.
func TestAnAddressWithoutTLSIsSeen(t *testing.T) {
	for _, address := range []string{"http://git.example.com", "HTTP://git.example.com", "https://git.example.com", "HTTPS://git.example.com"} {
		x, err := Target{Pipeline: "base", Forge: Gitea, URL: address, TokenFile: "token"}.Fill(cloned)
		if plain := !strings.Contains(strings.ToLower(address), "https:"); err != nil || x.Plain() != plain {
			t.Errorf("%s: without TLS: %t, %v", address, x.Plain(), err)
		}
	}
}

func TestMistakesNameTheirField(t *testing.T) {
	good := Target{Pipeline: "base", Forge: GitLab, TokenFile: "token"}
	for name, test := range map[string]struct {
		change func(*Target)
		cloned string
		field  string
		says   string
	}{
		"a forge that there is not":      {func(x *Target) { x.Forge = "gitae" }, cloned, "forge", "gitea"},
		"a forge without statuses":       {func(x *Target) { x.Forge = "gogs" }, cloned, "forge", "takes no statuses"},
		"no address":                     {func(*Target) {}, "git://git.example.com/ops/base.git", "url", "is missing"},
		"an address of something else":   {func(x *Target) { x.URL = "ssh://git.example.com" }, cloned, "url", "ssh://"},
		"an address with a password":     {func(x *Target) { x.URL = "https://ann:secret@git.example.com" }, cloned, "url", "token_file"},
		"an address with no such port":   {func(x *Target) { x.URL = "https://git.example.com:99999" }, cloned, "url", "ports go from 1 to 65535"},
		"an address with port 0":         {func(x *Target) { x.URL = "https://git.example.com:0" }, cloned, "url", "has the port 0"},
		"a link with no such port":       {func(x *Target) { x.TargetURL = "https://x:65536/{build}" }, cloned, "target_url", "65536"},
		"a clone's address with no port": {func(*Target) {}, "https://git.example.com:70000/ops/base.git", "url", "70000"},
		"an address with a query":        {func(x *Target) { x.URL = "https://git.example.com?x" }, cloned, "url", "query"},
		"a repository that climbs":       {func(x *Target) { x.Repository = "ops/../admin" }, cloned, "repository", "ops/../admin"},
		"a repository with a query":      {func(x *Target) { x.Repository = "ops/base?x" }, cloned, "repository", "ops/base?x"},
		"a repository that is too deep":  {func(x *Target) { x.Forge, x.Repository = Gitea, "a/b/c" }, cloned, "repository", "a/b/c"},
		"a context with a newline":       {func(x *Target) { x.Context = "a\nb" }, cloned, "context", "no name of a status"},
		"no token":                       {func(x *Target) { x.TokenFile = "" }, cloned, "token_file", "is missing"},
		"a link to nowhere":              {func(x *Target) { x.TargetURL = "console" }, cloned, "target_url", "console"},
		"a link with a field unknown":    {func(x *Target) { x.TargetURL = "https://x/{tag}" }, cloned, "target_url", "{commit}"},
		"a link that runs in a browser":  {func(x *Target) { x.TargetURL = "javascript:alert(1)" }, cloned, "target_url", "javascript"},
		"a repository that is one word":  {func(x *Target) { x.Repository = "base" }, cloned, "repository", "base"},
		"a repository with a space":      {func(x *Target) { x.Repository = "ops/a base" }, cloned, "repository", "a base"},
		"a repository with an empty end": {func(x *Target) { x.Repository = "ops/" }, cloned, "repository", "ops/"},
	} {
		t.Run(name, func(t *testing.T) {
			x := good
			test.change(&x)
			_, err := x.Fill(test.cloned)
			var at *FieldError
			if !errors.As(err, &at) || at.Field != test.field || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("it says %v", err)
			}
		})
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	if got := GitHub.Text(strings.Repeat("ü", 140)); utf8.RuneCountInString(got) != 140 || strings.HasSuffix(got, "…") {
		t.Errorf("140 characters become %q", got)
	}
	if got := GitHub.Text(strings.Repeat("ü", 141)); utf8.RuneCountInString(got) != 140 || !strings.HasSuffix(got, "ü…") || !utf8.ValidString(got) {
		t.Errorf("141 characters become %q", got)
	}
	if got := GitLab.Text(" a\r\n\tb\x1b[31m\u202ec\xff "); got != `a b\x1b[31m<U+202E>c\xff` {
		t.Errorf("it becomes %q", got)
	}
}

func TestALongNameStaysItsOwn(t *testing.T) {
	a, b := Bitbucket.Name("fenceline/"+strings.Repeat("a", 60)), Bitbucket.Name("fenceline/"+strings.Repeat("a", 61))
	if utf8.RuneCountInString(a) != 40 || a == b || a[:31] != b[:31] {
		t.Errorf("they become %q and %q", a, b)
	}
	if got := Bitbucket.Name("fenceline/base"); got != "fenceline/base" {
		t.Errorf("it becomes %q", got)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x00b\xff\u202e…")
	f.Fuzz(func(t *testing.T, s string) {
		for _, forge := range Forges() {
			got := forge.Text(s)
			if !utf8.ValidString(got) || utf8.RuneCountInString(got) > forge.MostText() || strings.ContainsAny(got, "\n\r\x00\x1b") {
				t.Errorf("%q becomes %q", s, got)
			}
		}
	})
}

func FuzzFill(f *testing.F) {
	f.Add("gitlab", "https://git.example.com", "ops/base", "x/{build}", cloned)
	f.Fuzz(func(t *testing.T, forge, url, repository, leads, cloned string) {
		x, err := Target{Pipeline: "base", Forge: Forge(forge), URL: url, Repository: repository, TargetURL: leads, TokenFile: "t"}.Fill(cloned)
		var at *FieldError
		if err != nil && !errors.As(err, &at) {
			t.Errorf("an error without a field: %v", err)
		}
		if err == nil && (!strings.HasPrefix(x.API(), "http") || strings.Contains(x.Repository, "..") && strings.Contains("/"+x.Repository+"/", "/../")) {
			t.Errorf("it is %+v", x)
		}
	})
}
