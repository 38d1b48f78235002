package imagediff

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/imagediff/packagedb"
	"github.com/fenceline/fenceline/registries"
	"github.com/fenceline/fenceline/terminal"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const statusFile = "var/lib/dpkg/status"

// folders are the entries of the folders above the database, as layers made by engines have them.
func folders() []at { return []at{{"var/", ""}, {"var/lib/", ""}, {"var/lib/dpkg/", ""}} }

func with(files []at, more ...at) []at { return append(files, more...) }

func TestHowImagesDiffer(t *testing.T) {
	s := newShop(t)
	base := layerOf(t, at{"var/lib/dpkg/status", stanzas("bash=5.2", "libc6=2.36", "old=1")})
	from := s.push(t, imageOf(t, func(c *v1.ConfigFile) {
		c.Config = v1.Config{User: "root", Env: []string{"PATH=/bin", "GONE=x"}, Cmd: []string{"sh"}, Labels: map[string]string{"v": "1"}}
	}, base, layerOf(t, at{"etc/stackato/hooks/pre-running", "#!/bin/sh\necho one\n"}, at{"etc/stackato/hooks/pre-staging", "#!/bin/sh\n"})))
	to := s.push(t, imageOf(t, func(c *v1.ConfigFile) {
		c.Config = v1.Config{
			User: "stackato", Env: []string{"PATH=/bin:/opt", "NEW="}, Cmd: []string{"sh", "-l"}, Labels: map[string]string{"v": "2"},
			ExposedPorts: map[string]struct{}{"80/tcp": {}}, WorkingDir: "/app", Entrypoint: []string{"/init"},
		}
		c.History[1].CreatedBy = "/bin/sh -c apt-get install curl"
	}, base, layerOf(t, with(folders(), at{statusFile, stanzas("bash=5.2", "libc6=2.37", "curl=8")}, at{"etc/stackato/hooks/pre-running", "#!/bin/sh\necho \x1b[2Jtwo\n"}, at{"etc/stackato/hooks/post-staging", "#!/bin/sh\n"})...)))
	d := compare(t, Limits{}, from, to)
	var b bytes.Buffer
	p := terminal.NewPage(&b)
	d.Write(p)
	must(t, p.Flush())
	for _, want := range []string{
		"packages: 1 changed, 1 added, 1 removed, 1 unchanged", "~ libc6 2.36 -> 2.37", "+ curl 8 (amd64)", "- old 1 (amd64)",
		"/etc/stackato/hooks/pre-running changed\n", "-echo one", "+echo", "two", "/etc/stackato/hooks/post-staging added", "/etc/stackato/hooks/pre-staging removed",
		"user changed: root -> stackato", "env PATH changed: /bin -> /bin:/opt", "env GONE removed, was: x", "env NEW added: set", `cmd changed: ["sh"] -> ["sh","-l"]`,
		"label v changed: 1 -> 2", "port 80/tcp added", "workdir added: /app", `entrypoint added: ["/init"]`,
		"layers: 1 in both", "apt-get install curl", "linux/amd64",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a terminal is given orders")
	}
	if raw, err := json.Marshal(d); err != nil || !strings.Contains(string(raw), `"from":[{"name":"libc6","version":"2.36","arch":"amd64"}]`) {
		t.Errorf("%s, %v", raw, err)
	}
	if d := compare(t, Limits{}, from, from); d.Differs || len(d.Settings)+len(d.Hooks)+len(d.Unknown) > 0 {
		t.Errorf("an image differs from itself: %+v", d)
	}
}

// TestSharedLayersAreReadOnce, as their links may lead to what changed, and not at all where no image has a layer of its own.
func TestSharedLayersAreReadOnce(t *testing.T) {
	s := newShop(t)
	base := layerOf(t, at{statusFile, stanzas("bash=5.2")}, at{"etc/passwd", "x"})
	from := s.push(t, imageOf(t, nil, base, layerOf(t, at{"etc/stackato/hooks/pre-running", "a\n"})))
	to := s.push(t, imageOf(t, nil, base, layerOf(t, at{"etc/stackato/hooks/pre-running", "b\n"}), layerOf(t, with(folders(), at{statusFile, stanzas("bash=5.2", "curl=8")})...)))
	s.asked(digestOf(t, base))
	d := compare(t, Limits{}, from, to)
	if len(d.Hooks) != 1 || len(d.Packages.Added) != 1 || d.Packages.Unchanged != 1 || len(d.Packages.Removed) != 0 {
		t.Errorf("%+v, %+v", d.Packages, d.Hooks)
	}
	if n := s.asked(digestOf(t, base)); n != 1 {
		t.Errorf("the layer of both was asked for %d times", n)
	}
	user := s.push(t, imageOf(t, func(c *v1.ConfigFile) { c.Config.User = "x" }, base))
	s.asked(digestOf(t, base))
	if d := compare(t, Limits{}, s.push(t, imageOf(t, nil, base)), user); !d.Differs || len(d.Settings) != 1 || d.Packages.Summary() != "the same" {
		t.Errorf("%+v", d)
	}
	if n := s.asked(digestOf(t, base)); n != 0 {
		t.Errorf("the layer that is all of both was asked for %d times", n)
	}
}

// TestHooksOfTwoFolders of the same layers differ where their files do.
func TestHooksOfTwoFolders(t *testing.T) {
	s := newShop(t)
	base := layerOf(t, at{"opt/a/pre-running", "a\n"}, at{"opt/b/pre-running", "b\n"}, at{"opt/a/pre-staging", "same\n"}, at{"opt/b/pre-staging", "same\n"})
	from, to := s.push(t, imageOf(t, nil, base)), s.push(t, imageOf(t, func(c *v1.ConfigFile) { c.Config.User = "x" }, base))
	d, err := client(t, Limits{}).Compare(t.Context(), Wanted{from, "/opt/a"}, Wanted{to, "/opt/b"}, "")
	must(t, err)
	if len(d.Hooks) != 1 || d.Hooks[0].Path != "/opt/b/pre-running" || len(d.Unknown) > 0 {
		t.Errorf("%+v, %q", d.Hooks, d.Unknown)
	}
}

// TestWhatLinksLeadTo is compared, though the links are in a layer of both, and only what they lead to changed.
func TestWhatLinksLeadTo(t *testing.T) {
	const dir = "etc/stackato/hooks"
	hook, opt := dir+"/pre-running", "opt/hooks/pre-running"
	for about, c := range map[string]struct {
		base    []at
		changed []at
		want    string // of hooks, then of packages
		unknown string
	}{
		"a folder":                {[]at{{dir + " -> /opt/hooks", ""}, {opt, "a"}}, []at{{opt, "b"}}, "pre-running changed", ""},
		"a folder of a link":      {[]at{{"etc/stackato -> /srv", ""}, {"srv/hooks/pre-running", "a"}}, []at{{"srv/hooks/pre-running", "b"}}, "pre-running changed", ""},
		"taken away":              {[]at{{dir + " -> /opt/hooks", ""}, {opt, "a"}}, []at{{"opt/hooks/.wh.pre-running", ""}}, "pre-running removed", ""},
		"all of them taken away":  {[]at{{dir + " -> /opt/hooks", ""}, {opt, "a"}}, []at{{"opt/.wh.hooks", ""}}, "pre-running removed", ""},
		"a file":                  {[]at{{hook + " -> /opt/start.sh", ""}, {"opt/start.sh", "a"}}, []at{{"opt/start.sh", "b"}}, "pre-running changed", ""},
		"a file, relative":        {[]at{{hook + " -> ../../../opt/start.sh", ""}, {"opt/start.sh", "a"}}, []at{{"opt/start.sh", "b"}}, "pre-running changed", ""},
		"a file, out of the root": {[]at{{hook + " -> ../../../../../../opt/start.sh", ""}, {"opt/start.sh", "a"}}, []at{{"opt/start.sh", "b"}}, "pre-running changed", ""},
		"a file, nothing changed": {[]at{{hook + " -> /opt/start.sh", ""}, {"opt/start.sh", "a"}}, []at{{"opt/other.sh", "b"}}, "", ""},
		"a file that was not":     {[]at{{hook + " -> /opt/start.sh", ""}}, []at{{"opt/start.sh", "b"}}, "pre-running added", ""},
		"a file of a link":        {[]at{{hook + " -> /opt/1", ""}, {"opt/1 -> 2/3", ""}, {"opt/2 -> /srv", ""}, {"srv/3", "a"}}, []at{{"srv/3", "b"}}, "pre-running changed", ""},
		"a link on the way":       {[]at{{hook + " -> /opt/now/start.sh", ""}, {"opt/now -> 1", ""}, {"opt/1/start.sh", "a"}, {"opt/2/start.sh", "b"}}, []at{{"opt/now -> 2", ""}}, "pre-running changed", ""},
		"a folder in its place":   {[]at{{hook + " -> /opt/start.sh", ""}, {"opt/start.sh", "a"}}, []at{{"opt/start.sh/", ""}}, "pre-running removed", ""},
		"another hook":            {[]at{{dir + "/pre-staging -> pre-running", ""}, {hook, "a"}}, []at{{"etc/", ""}, {"etc/stackato/", ""}, {dir + "/", ""}, {hook, "b"}}, "pre-staging changed, pre-running changed", ""},
		"a hard link":             {[]at{{"opt/start.sh", "a"}, {hook + " = opt/start.sh", ""}}, []at{{"opt/start.sh", "b"}}, "", ""}, // which is written anew
		"dpkg":                    {[]at{{statusFile + " -> /srv/packages", ""}, {"srv/packages", stanzas("bash=1")}}, []at{{"srv/packages", stanzas("bash=2")}}, "~bash", ""},
		"dpkg below a link":       {[]at{{"var -> /srv/v", ""}, {"srv/v/lib/dpkg/status", stanzas("bash=1")}}, []at{{"srv/v/lib/dpkg/status", stanzas("bash=2", "curl=1")}}, "~bash +curl", ""},
		"dpkg's folder":           {[]at{{statusFile + ".d -> /srv/d", ""}, {"srv/d/bash", stanzas("bash=1")}}, []at{{"srv/d/curl", stanzas("curl=1")}}, "+curl", ""},
		"a file of dpkg's folder": {[]at{{statusFile + ".d/bash -> /srv/b", ""}, {"srv/b", stanzas("bash=1")}}, []at{{"srv/b", stanzas("bash=2")}}, "~bash", ""},
		"on and on":               {[]at{{hook + " -> /opt/1", ""}, {"opt/1 -> 2", ""}}, []at{{"opt/2 -> 1", ""}}, "", "hook pre-running: /" + hook + " of the second image: links lead on and on"},
		"further than is read":    {[]at{{hook + " -> /1/1", ""}, {"1/1 -> /2/2", ""}, {"2/2 -> /3/3", ""}, {"3/3 -> /4/4", ""}, {"4/4", "a"}}, []at{{"4/4", "b"}}, "", "links lead to links, and on"},
	} {
		s := newShop(t)
		base := layerOf(t, c.base...)
		d := compare(t, Limits{}, s.push(t, imageOf(t, nil, base)), s.push(t, imageOf(t, nil, base, layerOf(t, c.changed...))))
		var hooks, packages []string
		for _, h := range d.Hooks {
			hooks = append(hooks, strings.TrimPrefix(h.Path, "/"+dir+"/")+" "+h.Change)
		}
		for _, p := range d.Packages.Changed {
			packages = append(packages, "~"+p.Name)
		}
		for _, p := range d.Packages.Added {
			packages = append(packages, "+"+p.Name)
		}
		unknown := strings.Join(d.Unknown, "\n")
		if got := strings.Join(hooks, ", ") + strings.Join(packages, " "); got != c.want || !strings.Contains(unknown, c.unknown) || (unknown == "") != (c.unknown == "") {
			t.Errorf("%s: %q, unknown %q", about, got, unknown)
		}
	}
}

// TestEveryKindOfDatabase is found where it is, in layers of every compression.
func TestEveryKindOfDatabase(t *testing.T) {
	s := newShop(t)
	sqlite := unzipped(t, "packagedb/testdata/rpmdb.sqlite.gz")
	apk, err := os.ReadFile("packagedb/testdata/installed")
	must(t, err)
	for about, c := range map[string]struct {
		files []at
		added []string
	}{
		"dpkg":                            {[]at{{statusFile, stanzas("bash=5.2")}}, []string{"bash"}},
		"dpkg with a dot before":          {[]at{{"./" + statusFile, stanzas("bash=5.2")}}, []string{"bash"}},
		"dpkg without itself":             {[]at{{"var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 1\n"}, {"var/lib/dpkg/status.d/base.md5sums", "no field"}, {"var/lib/dpkg/status.d/tz", "Package: tzdata\nVersion: 2\n"}}, []string{"base-files", "tzdata"}},
		"apk":                             {[]at{{"lib/apk/db/installed", string(apk)}}, []string{"busybox", "musl"}},
		"apk where it is now":             {[]at{{"usr/lib/apk/db/installed", string(apk)}, {"lib -> usr/lib", ""}}, []string{"busybox", "musl"}},
		"apk in a folder that is a link":  {[]at{{"lib -> usr/lib", ""}, {"lib/apk/db/installed", string(apk)}}, []string{"busybox", "musl"}},
		"rpm":                             {[]at{{"var/lib/rpm/rpmdb.sqlite", sqlite}}, []string{"bash", "openssl", "zlib"}},
		"rpm by two ways":                 {[]at{{"usr/lib/sysimage/rpm/rpmdb.sqlite", sqlite}, {"var/lib/rpm -> ../../usr/lib/sysimage/rpm", ""}}, []string{"bash", "openssl", "zlib"}},
		"rpm somewhere else":              {[]at{{"opt/db/rpmdb.sqlite", sqlite}, {"var/lib/rpm -> /opt/db", ""}}, []string{"bash", "openssl", "zlib"}},
		"dpkg as a link to what is below": {[]at{{"srv/status", stanzas("bash=5.2")}, {statusFile + " -> ../../../srv/status", ""}}, []string{"bash"}},
		"dpkg as a hard link":             {[]at{{"srv/status", stanzas("bash=5.2")}, {statusFile + " = srv/status", ""}}, []string{"bash"}},
	} {
		raw := tarOf(t, c.files...)
		for how, l := range map[string]v1.Layer{"gzip": gzipped(t, raw), "zstd": zstdLayer(t, raw), "none": plainLayer(raw)} {
			d := compare(t, Limits{}, s.push(t, imageOf(t, nil, layerOf(t, at{"a", ""}))), s.push(t, imageOf(t, nil, l)))
			var names []string
			for _, p := range d.Packages.Added {
				names = append(names, p.Name)
			}
			if strings.Join(names, " ") != strings.Join(c.added, " ") || len(d.Unknown) > 0 {
				t.Errorf("%s, %s: %q, %q", about, how, names, d.Unknown)
			}
		}
	}
}

// TestADebianBase is a real one.
func TestADebianBase(t *testing.T) {
	path := os.Getenv("FENCELINE_BASE_LAYER")
	if path == "" {
		path = "../.fenceline/base/layer.tar.gz"
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: 'make setup' makes it, or name another with $FENCELINE_BASE_LAYER", err)
	}
	s := newShop(t)
	d := compare(t, Limits{}, s.push(t, imageOf(t, nil, layerOf(t, at{"a", ""}))), s.push(t, imageOf(t, nil, static.NewLayer(raw, types.DockerLayer))))
	has := map[string]packagedb.Package{}
	for _, p := range d.Packages.Added {
		has[p.Name] = p.Package
	}
	if has["libc6"].Version == "" || has["dpkg"].Arch == "" || len(d.Unknown) > 0 {
		t.Errorf("%d packages, %q: %+v", len(has), d.Unknown, has["libc6"])
	}
}

func TestAnIndex(t *testing.T) {
	s := newShop(t)
	one := imageOf(t, nil, layerOf(t, at{statusFile, stanzas("bash=1")}))
	two := imageOf(t, func(c *v1.ConfigFile) { c.Architecture, c.Variant = "arm64", "v8" }, layerOf(t, at{statusFile, stanzas("bash=2")}))
	note := imageOf(t, func(c *v1.ConfigFile) { c.Architecture, c.OS = "unknown", "unknown" }, layerOf(t, at{"a", ""}))
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: note, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: two, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}})
	ref, err := name.ParseReference(s.host + "/index:v1")
	must(t, err)
	must(t, remote.WriteIndex(ref, index))
	alone := s.push(t, one)
	c := client(t, Limits{})
	d, err := c.Compare(t.Context(), Wanted{Ref: alone}, Wanted{Ref: ref.String()}, "linux/amd64")
	if err != nil || d.Differs || d.To.Image.Digest() == d.To.Manifest || d.From.Manifest != d.To.Manifest {
		t.Errorf("%+v, %v", d, err)
	}
	arm, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}))
	must(t, err)
	d, err = c.Compare(t.Context(), Wanted{Ref: alone}, Wanted{Ref: s.push(t, arm)}, "")
	if err != nil || len(d.Settings) == 0 || d.Settings[0].Text() != "platform changed: linux/amd64 -> linux/arm64/v8" {
		t.Errorf("%+v, %v", d, err)
	}
	for platform, of := range map[string]struct{ from, says string }{
		"linux/s390x": {ref.String(), "it has linux/amd64, linux/arm64/v8"}, "linux/arm64": {alone, "it is for linux/amd64, not for linux/arm64"},
	} {
		if _, err := c.Compare(t.Context(), Wanted{Ref: of.from}, Wanted{Ref: ref.String()}, platform); err == nil || !strings.Contains(err.Error(), of.says) {
			t.Errorf("%s: %v", platform, err)
		}
	}
}

// TestWhatRegistriesSay is told with the image's name and what mends it.
func TestWhatRegistriesSay(t *testing.T) {
	s := newShop(t)
	good := imageOf(t, nil, layerOf(t, at{statusFile, stanzas("bash=1")}))
	is := s.push(t, good)
	layers, err := good.Layers()
	must(t, err)
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(code)
			return true
		}
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for about, c := range map[string]struct {
		ref    string
		meddle func(http.ResponseWriter, *http.Request) bool
		says   []string
	}{
		"no such image": {s.host + "/base@sha256:" + strings.Repeat("0", 64), nil, []string{"has no such image", s.host}},
		"no such tag":   {s.host + "/base:none", nil, []string{"base:none", "has no such image"}},
		"no login":      {is, status(http.StatusForbidden), []string{is, "wants another login", "docker-config"}},
		"a broken one":  {is, status(http.StatusTeapot), []string{is, "418"}},
		"its own CA":    {strings.TrimPrefix(secure.URL, "https://") + "/a:b", nil, []string{"registry-ca-file"}},
		"nobody there":  {"127.0.0.1:1/a:b", nil, []string{"127.0.0.1:1/a:b", "refused"}},
		"no image":      {"A b", nil, []string{`"A b" is no image`}},
		"something else": {is, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, digestOf(t, layers[0]).String()) {
				return false
			}
			size, err := layers[0].Size()
			must(t, err)
			_, _ = w.Write(bytes.Repeat([]byte{0}, int(size)))
			return true
		}, []string{is, "layer sha256:", "not what the digest names"}},
		"half of it": {is, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, digestOf(t, layers[0]).String()) {
				return false
			}
			w.Header().Set("Content-Length", "5")
			_, _ = w.Write([]byte("12345"))
			return true
		}, []string{is, "layer sha256:", "too early"}},
	} {
		s.meddle(c.meddle)
		_, err := client(t, Limits{}).Compare(t.Context(), Wanted{Ref: is}, Wanted{Ref: c.ref}, "")
		if about == "something else" || about == "half of it" {
			s.meddle(nil)
			other := s.push(t, imageOf(t, nil))
			s.meddle(c.meddle)
			_, err = client(t, Limits{}).Compare(t.Context(), Wanted{Ref: other}, Wanted{Ref: c.ref}, "")
		}
		if err == nil {
			t.Errorf("%s: no error", about)
			continue
		}
		for _, w := range c.says {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", about, err, w)
			}
		}
	}
	s.meddle(nil)
	for _, bad := range []Registries{{PlainHTTP: []string{"http://x"}}, {CAFile: "none"}, {DockerConfig: "none"}} {
		if _, err := New(Config{Registries: bad}); !errors.As(err, new(*registries.FieldError)) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestARegistryThatFallsSilent in the middle of a layer is not waited for any longer.
func TestARegistryThatFallsSilent(t *testing.T) {
	s := newShop(t)
	layer := layerOf(t, at{"b", ""})
	from, to := s.push(t, imageOf(t, nil)), s.push(t, imageOf(t, nil, layer))
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, digestOf(t, layer).String()) {
			return false
		}
		_, _ = w.Write([]byte{0x1f})
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-released:
		}
		return true
	})
	c := client(t, Limits{})
	c.idle = 300 * time.Millisecond
	if _, err := c.Compare(t.Context(), Wanted{Ref: from}, Wanted{Ref: to}, ""); err == nil || !strings.Contains(err.Error(), "sent nothing for 300ms") || !strings.Contains(err.Error(), to) {
		t.Error(err)
	}
}

// TestWhoeverLeavesEndsIt: a registry that says nothing is not waited for any longer.
func TestWhoeverLeavesEndsIt(t *testing.T) {
	s := newShop(t)
	from, to := s.push(t, imageOf(t, nil, layerOf(t, at{"a", ""}))), s.push(t, imageOf(t, nil, layerOf(t, at{"b", ""})))
	ctx, leave := context.WithCancelCause(t.Context())
	left := errors.New("they left")
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	s.meddle(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		leave(left)
		select {
		case <-r.Context().Done():
		case <-released:
		}
		return true
	})
	begun := time.Now()
	if _, err := client(t, Limits{}).Compare(ctx, Wanted{Ref: from}, Wanted{Ref: to}, ""); !errors.Is(err, left) {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}
