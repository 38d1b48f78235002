package browser

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	stdlog "log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// pushed pushes an image with a package and a hook to a registry.
func pushed(t *testing.T, host, version string) messages.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for path, content := range map[string]string{
		"var/lib/dpkg/status":            "Package: libssl3\nStatus: install ok installed\nVersion: " + version + "\n",
		"etc/stackato/hooks/pre-running": "#!/bin/sh\necho '<script>document.title=\"owned\"</script>' " + version + "\n",
	} {
		queuetest.Must(t, w.WriteHeader(&tar.Header{Name: path, Size: int64(len(content)), Mode: 0o755}))
		_, err := io.WriteString(w, content)
		queuetest.Must(t, err)
	}
	queuetest.Must(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	queuetest.Must(t, err)
	i, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	queuetest.Must(t, err)
	i, err = mutate.Append(i, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "RUN apt-get install -y libssl3=" + version + strings.Repeat("x", 200)}})
	queuetest.Must(t, err)
	c, err := i.ConfigFile()
	queuetest.Must(t, err)
	c = c.DeepCopy()
	c.Config.Env = []string{"PATH=/bin", "VERSION=" + version}
	i, err = mutate.ConfigFile(i, c)
	queuetest.Must(t, err)
	tag, err := name.NewTag(host + "/base:" + version)
	queuetest.Must(t, err)
	queuetest.Must(t, remote.Write(tag, i))
	digest, err := i.Digest()
	queuetest.Must(t, err)
	image, err := messages.NewImage(host+"/base", digest.String())
	queuetest.Must(t, err)
	return image
}

// TestImagesAreComparedInTheBrowser as a person goes: from a rollout to what its image changes, and on to other images.
func TestImagesAreComparedInTheBrowser(t *testing.T) {
	i := newInstallation(t, 3)
	server := httptest.NewServer(registry.New(registry.Logger(stdlog.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	images := map[int]messages.Image{1: pushed(t, host, "3.0.1"), 2: pushed(t, host, "3.0.2"), 3: pushed(t, host, "3.0.3")}
	for n := 1; n <= 3; n++ {
		ref := messages.BuildRef{Build: fmt.Sprintf("base-%d", n), Pipeline: "base", Order: uint64(n)}
		made, err := messages.Encode(messages.Envelope{ID: ref.Build, Source: "/x", Subject: ref.Build}, &messages.ImageReady{BuildRef: ref, Image: images[n], Tag: "t"})
		queuetest.Must(t, err)
		_, err = store.Builds(i.admin).Create(queuetest.Within(t), ref.Build, messages.BuildRecord{BuildRef: ref, State: messages.BuildStateSucceeded, Image: images[n], Outcome: &made})
		queuetest.Must(t, err)
	}
	_, err := store.Fleets(i.admin).Modify(queuetest.Within(t), "production", func(f *messages.FleetRecord) error {
		f.Current.Image, f.Previous.Image = images[2], images[1]
		return nil
	})
	queuetest.Must(t, err)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/rollouts/production-base-3"), press(`a[href="/diff?b=base-3"]`), has("Packages: 1 changed"), has("3.0.2 -> 3.0.3"),
		has("document.title"), has("VERSION changed: 3.0.2 -> 3.0.3"))
	if title := ask[string](ctx, t, "document.title"); strings.Contains(title, "owned") {
		t.Errorf("a hook's text was run: %q", title)
	}
	shot(ctx, t, "console-diff")
	do(ctx, t, chromedp.SetValue("#a", "production~1"), chromedp.SetValue("#b", "production"), chromedp.Click("main form button"), has("3.0.1 -> 3.0.2"), has("previous in fleet production"))
	for _, room := range []string{"light", "dark"} {
		do(ctx, t, scheme(room))
		for _, path := range []string{"/diff", "/diff?b=base-3", "/diff?b=none", "/diff?a=production&b=production"} {
			do(ctx, t, chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"))
			usable(ctx, t, path+" in "+room)
		}
	}
	for _, width := range []int64{360, 3840} {
		do(ctx, t, chromedp.EmulateViewport(width, 800), chromedp.Navigate(i.url+"/diff?b=base-3"), has("Packages: 1 changed"))
		if ask[bool](ctx, t, "document.documentElement.scrollWidth > innerWidth") {
			t.Errorf("/diff does not fit %d pixels", width)
		}
	}
}
