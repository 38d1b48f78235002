package cli

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	stdlog "log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/imagediff"
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

// pushed pushes an image with a package of a version to a registry, under a tag.
func pushed(t *testing.T, host, version string) messages.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	content := "Package: bash\nStatus: install ok installed\nVersion: " + version + "\n"
	queuetest.Must(t, w.WriteHeader(&tar.Header{Name: "var/lib/dpkg/status", Size: int64(len(content)), Mode: 0o644}))
	_, err := io.WriteString(w, content)
	queuetest.Must(t, err)
	queuetest.Must(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	queuetest.Must(t, err)
	i, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	queuetest.Must(t, err)
	i, err = mutate.AppendLayers(i, l)
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

// TestDiff compares what each word means.
func TestDiff(t *testing.T) {
	c := installation(t)
	server := httptest.NewServer(registry.New(registry.Logger(stdlog.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	var images []messages.Image
	for n, version := range []string{"1", "2", "3"} {
		image := pushed(t, host, version)
		images = append(images, image)
		ref := messages.BuildRef{Build: "base-" + strings.Repeat(string(rune('a'+n)), 8), Pipeline: "base", Order: uint64(n + 1)}
		ready := &messages.ImageReady{BuildRef: ref, Image: image, Tag: "t", HooksDir: "/opt/hooks"}
		outcome, err := messages.Encode(messages.Envelope{ID: ref.Build, Source: "builder", Time: noon()}, ready)
		queuetest.Must(t, err)
		create(t, store.Builds(c), ref.Build, messages.BuildRecord{BuildRef: ref, Ref: "refs/heads/main", State: messages.BuildStateSucceeded, Image: image, Outcome: &outcome, Received: noon(), Updated: noon()})
	}
	create(t, store.Fleets(c), "production", messages.FleetRecord{
		Fleet: "production", ID: "id", Epoch: 2, Decision: "d", Current: messages.FleetImage{Image: images[2], Build: "base-cccccccc"}, Previous: messages.FleetImage{Image: images[0]},
	})
	for _, args := range []struct{ words, from, to string }{
		{"production", "1", "3"}, {"production~1 production", "1", "3"}, {"base-cccccccc", "2", "3"}, {"base-bbb", "1", "2"},
		{images[0].Digest() + " " + images[1].Digest()[:17], "1", "2"}, {string(images[1]), "1", "2"},
		{host + "/base:1 " + host + "/base:3", "1", "3"}, {"base-aaaaaaaa production", "1", "3"},
	} {
		out := done(t, append([]string{"diff"}, strings.Fields(args.words)...)...)
		if !strings.Contains(out, "~ bash "+args.from+" -> "+args.to) {
			t.Errorf("diff %s: %s", args.words, out)
		}
	}
	var d imagediff.Diff
	queuetest.Must(t, json.Unmarshal([]byte(done(t, "diff", "production", "-o", "json")), &d))
	if !d.Differs || d.To.Image != images[2] || len(d.Packages.Changed) != 1 {
		t.Errorf("%+v", d)
	}
	if s := fenceline(t, "diff", "--exit-code", "production"); s.status != ExitBlocked || s.err != "" || !strings.Contains(s.out, "bash") {
		t.Errorf("%+v", s)
	}
	if out := done(t, "diff", "--exit-code", "production", "base-cccccccc"); !strings.Contains(out, "they are the same image") {
		t.Error(out)
	}
	for words, says := range map[string]string{
		"prodution":                          `did you mean "production"?`,
		"prodution~1":                        `there is no fleet "prodution", did you mean "production"?`,
		"base-aaaaaaaa":                      "no image before",
		"base-":                              "can be any of base-aaaaaaaa, base-bbbbbbbb, base-cccccccc",
		"sha256:0000":                        "the records know no image",
		host + "/base:1":                     "nor the image before it: name the one to compare with",
		"production " + host + "/base:9":     "has no such image",
		"production --platform x":            "give OS/ARCH",
		"production --registry-ca-file none": "--registry-ca-file",
		"production --docker-config none":    "--docker-config",
	} {
		if s := fenceline(t, append([]string{"diff"}, strings.Fields(words)...)...); s.status == ExitDone || !strings.Contains(s.err, says) || s.out != "" {
			t.Errorf("diff %s: %+v, want %q", words, s, says)
		}
	}
}
