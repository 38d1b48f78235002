package buildkit_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/builder/packages"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// program is a shell script at a place in an image.
func program(path, script string) buildkittest.File {
	return buildkittest.File{Name: path, Content: "#!/bin/sh\n" + script, Mode: 0o755}
}

// updatesOf asks an image of these files beside busybox.
func (b *bench) updatesOf(t *testing.T, o *order, files ...buildkittest.File) (builder.Updates, error) {
	t.Helper()
	ref := b.registry.Busybox(t, "asked:1", files...)
	digest, err := b.registry.Image(t, ref).Digest()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	return b.solver.Updates(ctx, o.Build, messages.Image(strings.TrimSuffix(ref, ":1")+"@"+digest.String()))
}

// TestUpdatesOfAnImage asks images whose package managers are scripts that print what the real ones do.
func TestUpdatesOfAnImage(t *testing.T) {
	b := newBench(t)
	o := b.order(t, nil)
	o.Pipeline.BuildArgs = map[string]string{"http_proxy": "http://proxy.example.com:3128", "OTHER": "1"}
	for name, test := range map[string]struct {
		files   []buildkittest.File
		manager string
		says    string // of the updates, or of the error
	}{
		"apk": {[]buildkittest.File{program("sbin/apk", `case "$1" in
update) echo "fetch http://mirror/APKINDEX.tar.gz"; echo "v3.20 [http://mirror]";;
upgrade) test "$2" = --simulate && echo "(1/1) Upgrading musl (1.2.5-r0 -> 1.2.5-r1)";;
esac
`)}, "apk", "1 package has an update: musl 1.2.5-r0 -> 1.2.5-r1"},
		"apt, by the proxy that steps have": {[]buildkittest.File{program("usr/bin/apt-get", `test "$http_proxy$OTHER$LC_ALL$USER_OF_IMAGE" = http://proxy.example.com:3128C || { echo "E: $http_proxy" >&2; exit 1; }
case "$*" in
*update) echo "Hit:1 http://mirror stable InRelease";;
*dist-upgrade) echo "Inst b [1] (2 D [all])"; echo "Inst a [1] (2 D [all])"; echo "Conf a (2 D [all])";;
esac
`)}, "apt", "2 packages have updates: b 1 -> 2, a 1 -> 2"},
		"dnf":                 {[]buildkittest.File{program("usr/bin/dnf", "echo; echo 'zlib.x86_64   1.3-2   updates'; exit 100\n")}, "dnf", "1 package has an update: zlib 1.3-2"},
		"dnf, of none":        {[]buildkittest.File{program("usr/bin/dnf", "exit 0\n")}, "dnf", ""},
		"dnf without a net":   {[]buildkittest.File{program("usr/bin/dnf", "echo 'Error: no mirror' >&2; exit 1\n")}, "", "dnf: it ended with status 1: Error: no mirror"},
		"none":                {nil, "", ""},
		"one that is not":     {[]buildkittest.File{program("usr/bin/zypper", "")}, "", "zypper, which is not asked"},
		"what writes a lot":   {[]buildkittest.File{program("usr/bin/dnf", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done\n")}, "", "printed more than 2 MiB"},
		"what may not be run": {[]buildkittest.File{{Name: "usr/bin/dnf", Content: "x", Mode: 0o644}}, "", "dnf: it ended with status 126"},
		"orders to terminals": {[]buildkittest.File{program("usr/bin/dnf", `printf 'a\033[31m\0;b.noarch 1\302\205 u\n'; exit 100
`)}, "dnf", "a?[31m?;b 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := b.updatesOf(t, o, test.files...)
			said := ""
			switch {
			case err != nil:
				said = err.Error()
			case len(got.List) > 0:
				said = packages.Say(got.List)
			}
			if got.Manager != test.manager && err == nil || !strings.Contains(said, test.says) || test.says == "" && said != "" {
				t.Errorf("%q says %q; want %q of %q", got.Manager, said, test.says, test.manager)
			}
			if strings.ContainsAny(said, "\x1b\x00") {
				t.Errorf("it orders the terminal about: %q", said)
			}
		})
	}
	t.Run("what never ends", func(t *testing.T) {
		o := b.order(t, nil)
		o.Pipeline.Timeout = messages.Duration(4 * time.Second)
		_, err := b.updatesOf(t, o, program("usr/bin/dnf", "sleep 3600\n"))
		if err == nil || !strings.Contains(err.Error(), "took longer than 2s") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an image that is gone", func(t *testing.T) {
		_, err := b.solver.Updates(t.Context(), o.Build, messages.Image(b.registry.Host+"/gone@sha256:"+strings.Repeat("0", 64)))
		if err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("error %v", err)
		}
	})
	if said := o.text(); strings.Contains(said, "xxxx") {
		t.Errorf("the log has what the managers print:\n%.1000s", said)
	}
}

// deb is a package of Debian's form, with nothing in it.
func deb(t *testing.T, version string) string {
	t.Helper()
	control := "Package: fenceline-demo\nVersion: " + version + "\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: a demo\n"
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	for _, m := range []struct{ name, content string }{
		{"debian-binary", "2.0\n"},
		{"control.tar.gz", archive(t, map[string]string{"./control": control})},
		{"data.tar.gz", archive(t, nil)},
	} {
		fmt.Fprintf(&out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", m.name, 0, 0, 0, "100644", len(m.content), m.content)
		if len(m.content)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// index lists a package of a repository.
func index(t *testing.T, version string) string {
	t.Helper()
	d := deb(t, version)
	return fmt.Sprintf("Package: fenceline-demo\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nFilename: ./demo.deb\nSize: %d\nSHA256: %x\nDescription: a demo\n\n",
		version, len(d), sha256.Sum256([]byte(d)))
}

// mirror is a repository of one package, which steps reach on loopback.
type mirror struct {
	*httptest.Server
	version atomic.Value
}

func newMirror(t *testing.T, version string) *mirror {
	m := new(mirror)
	m.version.Store(version)
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := m.version.Load().(string)
		switch path.Base(r.URL.Path) {
		case "Packages":
			_, _ = io.WriteString(w, index(t, version))
		case "demo.deb":
			_, _ = io.WriteString(w, deb(t, version))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

// TestItIsBuiltOnlyIfSomethingHasChanged takes the requests of a schedule through JetStream, git, BuildKit, a registry, Debian's
// apt and a repository of packages.
func TestItIsBuiltOnlyIfSomethingHasChanged(t *testing.T) {
	daemon, registry, mirror := buildkittest.Start(t), buildkittest.NewRegistry(t), newMirror(t, "1.0")
	base := plainDebian(t, registry)
	repo := gittest.Start(t).Repository(t, "image")
	q := queuetest.Start(t).Client(t)
	b, err := builder.New(builder.Config{Queue: builds.New(q), Solver: newSolver(t, buildkit.Config{Address: daemon.Address}), Name: "b1", Logger: zerolog.New(zerolog.NewTestWriter(t))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- b.Run(ctx) }()
	defer func() { cancel(); <-running }()

	commit := repo.Commit(t, "main", map[string]string{
		"Dockerfile": "FROM " + base + "\nRUN rm -rf /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] " + mirror.URL + "/ ./' > /etc/apt/sources.list" +
			" && apt-get update && apt-get -y install fenceline-demo\n",
	})
	times := 0
	comes := func() messages.BuildRecord {
		t.Helper()
		times++
		r := &messages.BuildRequested{
			Build: messages.NewBuildID("p"), Commit: commit, Ref: "refs/heads/main", Cause: messages.CausePush, NoCache: true, OnlyIf: messages.OnlyIfChanged,
			Reason: &messages.Reason{Kind: messages.ReasonSchedule, Link: fmt.Sprint(times), Detail: "@daily UTC"}, Received: time.Now(),
			Pipeline: messages.Pipeline{
				Name: "p", Repository: repo.URL, Branch: "main", Dockerfile: "Dockerfile", Image: registry.Host + "/out/image",
				HooksDir: messages.DefaultHooksDir, Timeout: messages.Duration(5 * time.Minute), Attempts: 2,
			},
		}
		a, err := builds.New(q).Request(t.Context(), r, "")
		if err != nil || a.Duplicate {
			t.Fatalf("accepted as %+v, %v", a, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		for queue.Pause(ctx, 20*time.Millisecond) {
			if e, err := store.Builds(q).Current(ctx, r.Build); err == nil && e.Value.Finished() {
				return e.Value
			}
		}
		t.Fatal("the build has not ended")
		return messages.BuildRecord{}
	}
	image := messages.Image("")
	built := func(why string) {
		t.Helper()
		r := comes()
		if r.State != messages.BuildStateSucceeded || !strings.Contains(r.Why().Changed, why) || r.Image == image {
			t.Fatalf("ended as %s for %q, with %s after %s: %+v; want one built as %s", r.State, r.Why().Changed, r.Image, image, r.Failure, why)
		}
		image = r.Image
		_, ready, err := messages.DecodeAs[*messages.ImageReady](*r.Outcome)
		if err != nil || ready.Reason == nil || ready.Reason.Changed != r.Why().Changed {
			t.Errorf("announced as %+v, %v", ready, err)
		}
	}
	unchanged := func(why string) {
		t.Helper()
		r := comes()
		if r.State != messages.BuildStateUnchanged || r.Image != "" || !strings.Contains(r.Unchanged, why) {
			t.Fatalf("ended as %s: %q, for %q: %+v; want %s", r.State, r.Unchanged, r.Why().Changed, r.Failure, why)
		}
	}

	built("no image of the branch is known")
	unchanged("commit, bases and packages (apt) are the same")
	mirror.version.Store("2.0")
	built("1 package has an update: fenceline-demo 1.0 -> 2.0")
	unchanged("commit, bases and packages (apt) are the same")
	another := registry.PushBase(t, "other:1", buildkittest.File{Name: "etc/other", Content: "1"})
	layers, err := registry.Image(t, another).Layers()
	if err != nil {
		t.Fatal(err)
	}
	registry.Append(t, base, layers...)
	built("base " + base + " is another digest")
	commit = repo.Commit(t, "main", map[string]string{"README": "another"})
	built("is of another commit")
	unchanged("are the same")
	registry.Refuse(func(r *http.Request) int { // what earlier builds keep in buildkitd is enough for a build
		if strings.Contains(r.URL.Path, "/out/image/") && r.Method == http.MethodGet {
			return http.StatusNotFound
		}
		return 0
	})
	mirror.Close()
	r := comes()
	if why := r.Why().Changed; r.State != messages.BuildStateFailed || !strings.Contains(why, "whether packages have updates can't be known: ") {
		t.Errorf("ended as %s for %q", r.State, why)
	}
	events := map[string]int{}
	err = q.Read(t.Context(), q.Space().EventsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		events[string(messages.TypeOf(r.Message))]++
		return nil
	})
	if err != nil || events[string(messages.TypeImageReady)] != 4 || events[string(messages.TypeBasePinned)] != 5 || events[string(messages.TypeBuildCancelled)] != 3 {
		t.Errorf("the events are %v, %v", events, err)
	}
}
