package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// stackOf makes an image of layers in gzip, and how it is fed from a layer on.
func stackOf(t *testing.T, config string, layers ...[]byte) (*made, *feed) {
	t.Helper()
	m := &made{map[string][]byte{}}
	var ids, parts []string
	for _, l := range layers {
		ids = append(ids, fmt.Sprintf("%q", fmt.Sprintf("sha256:%x", sha256.Sum256(l))))
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(l); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		parts = append(parts, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":%d}`, m.add(packed.Bytes()), packed.Len()))
	}
	text := fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]},"history":[{"created_by":"x"}]}`, config, strings.Join(ids, ","))
	manifest := m.add(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[%s]}`,
		m.add(text), len(text), strings.Join(parts, ",")))
	p, err := (&Engine{}).partsOf(t.Context(), messages.Image("r.example:5000/team/base@"+manifest), m)
	if err != nil {
		t.Fatal(err)
	}
	return m, &feed{ctx: t.Context(), from: m, parts: p, progress: func(distributor.Progress) {}}
}

// files makes a layer.
func files(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(names); i += 2 {
		if err := write(w, names[i], []byte(names[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fed is an archive as it is fed.
func fed(t *testing.T, form func(*tar.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(form(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// oldImage is an image on a reader of the old form, with what Docker 1.3 reads of it. Each field has the type that
// it has there.
type oldImage struct {
	ID            string    `json:"id"`
	Parent        string    `json:"parent"`
	Created       time.Time `json:"created"`
	Comment       string    `json:"comment"`
	DockerVersion string    `json:"docker_version"`
	Author        string    `json:"author"`
	Architecture  string    `json:"architecture"`
	OS            string    `json:"os"`
	Config        *struct {
		Hostname, User, WorkingDir, Image string
		Memory                            int64
		Env, Cmd, Entrypoint, OnBuild     []string
		Volumes, ExposedPorts             map[string]struct{}
	} `json:"config"`
}

// oldReader takes in an archive by the rules of graph/load.go of Docker 0.7 to 1.9: all is unpacked but what begins
// with the ID of an image that is there; then each folder is an image, its parents first, and at last names are set.
type oldReader struct {
	images map[string]oldImage
	tags   map[string]string
}

// validID is utils.ValidateID: no colon, and not empty. IDs are of 64 digits, as truncated ones are looked for.
var validID = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (o *oldReader) load(archive io.Reader) error {
	unpacked := map[string][]byte{}
	folders := map[string]bool{}
	r := tar.NewReader(archive)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		excluded := false
		for id := range o.images {
			excluded = excluded || strings.HasPrefix(h.Name, id)
		}
		switch {
		case excluded:
		case h.Typeflag == tar.TypeDir:
			folders[strings.TrimSuffix(h.Name, "/")] = true
		case strings.Contains(h.Name, "/") && !folders[filepath.Dir(h.Name)]:
			return fmt.Errorf("%s is in no folder", h.Name)
		default:
			if unpacked[h.Name], err = io.ReadAll(r); err != nil {
				return err
			}
		}
	}
	for id := range folders {
		if err := o.one(id, unpacked); err != nil {
			return err
		}
	}
	var names map[string]map[string]string
	if err := json.Unmarshal(unpacked["repositories"], &names); err != nil {
		return err
	}
	for name, tags := range names {
		for tag, id := range tags {
			if _, there := o.images[id]; !there || !regexp.MustCompile(`^[\w][\w.-]{0,127}$`).MatchString(tag) || strings.Contains(name, "@") {
				return fmt.Errorf("%s:%s is to be %s", name, tag, id)
			}
			o.tags[name+":"+tag] = id
		}
	}
	return nil
}

func (o *oldReader) one(id string, unpacked map[string][]byte) error {
	if _, there := o.images[id]; there {
		return nil
	}
	var i oldImage
	if err := json.Unmarshal(unpacked[id+"/json"], &i); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	switch layer, there := unpacked[id+"/layer.tar"]; {
	case i.ID != id || !validID.MatchString(id):
		return fmt.Errorf("%q is in the folder %q", i.ID, id)
	case string(unpacked[id+"/VERSION"]) != "1.0":
		return fmt.Errorf("its version is %q", unpacked[id+"/VERSION"])
	case !there:
		return errors.New("it has no layer.tar")
	case i.Created.Year() < 1970:
		return fmt.Errorf("it was made %s, which engines before 1.9 refuse", i.Created)
	default:
		if err := readable(layer); err != nil {
			return err
		}
	}
	if _, there := o.images[i.Parent]; i.Parent != "" && !there {
		if err := o.one(i.Parent, unpacked); err != nil {
			return fmt.Errorf("the parent of %s: %w", id, err)
		}
	}
	o.images[id] = i
	return nil
}

// readable tells whether a layer is one that archive.ApplyLayer takes: a tar, or one in gzip (bzip2 and xz are not
// written here).
func readable(layer []byte) error {
	var r io.Reader = bytes.NewReader(layer)
	if bytes.HasPrefix(layer, []byte{0x1f, 0x8b}) {
		var err error
		if r, err = gzip.NewReader(r); err != nil {
			return err
		}
	}
	for in := tar.NewReader(r); ; {
		if _, err := in.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// What an engine before 1.10 is fed with is what its rules ask for: of the layers those that it lacks.
func TestAnOldReaderTakesWhatItIsFed(t *testing.T) {
	reader := &oldReader{map[string]oldImage{}, map[string]string{}}
	base, hooks, small := files(t, "base", "1"), files(t, "hooks", "2"), files(t, "small", "3")
	_, first := stackOf(t, `{"Env":["A=1"],"Cmd":["/bin/sh"],"User":"app","Labels":{"a":"b"},"ExposedPorts":{"80/tcp":{}},"StopSignal":"TERM","Healthcheck":{"Test":["NONE"]}}`, base, hooks)
	if err := reader.load(bytes.NewReader(fed(t, first.stack))); err != nil {
		t.Fatal(err)
	}
	id := hexOf(first.parts.image.Digest())
	got := reader.images[id]
	if len(reader.images) != 3 || reader.tags[keptTag(first.parts.image)] != id || got.Config == nil || got.Config.User != "app" || got.Config.Env[0] != "A=1" {
		t.Fatalf("it has %d images with the tags %v, and of the image %+v", len(reader.images), reader.tags, got)
	}
	again := fed(t, first.stack)
	if !bytes.Equal(again, fed(t, first.stack)) {
		t.Error("two archives of one image differ")
	}
	_, next := stackOf(t, `null`, base, hooks, small)
	next.held = 2
	archive := fed(t, next.stack)
	for _, of := range []string{"base", "hooks"} {
		if bytes.Contains(archive, []byte(of+"\x00")) {
			t.Errorf("%s is sent again", of)
		}
	}
	if err := reader.load(bytes.NewReader(archive)); err != nil || len(reader.images) != 5 {
		t.Fatalf("it has %d images, error %v", len(reader.images), err)
	}
	if reader.images[hexOf(next.parts.image.Digest())].Parent == "" || next.bytes >= first.bytes {
		t.Errorf("sent %d bytes after %d", next.bytes, first.bytes)
	}
	// Of an engine that has lost a layer in between, the archive is refused as a whole.
	delete(reader.images, got.Parent)
	if err := reader.load(bytes.NewReader(archive)); err != nil {
		t.Errorf("what is there is loaded again: %v", err)
	}
	lost := &oldReader{map[string]oldImage{}, map[string]string{}}
	if err := lost.load(bytes.NewReader(archive)); err == nil {
		t.Error("an image without its parents was taken")
	}
}

// What such an engine can't take in is refused before anything is fetched, with what to do.
func TestWhatAnOldEngineCantTakeIsRefused(t *testing.T) {
	_, f := stackOf(t, `{}`, files(t, "a", "1"))
	f.parts.manifest.Layers[0].MediaType = "application/vnd.oci.image.layer.v1.tar+zstd"
	if err := f.parts.fitsStack(); !errors.Is(err, distributor.ErrImage) || !strings.Contains(err.Error(), "gzip layers") {
		t.Errorf("zstd: %v", err)
	}
	f.parts.manifest.Layers = make([]v1.Descriptor, maxDepth)
	if err := f.parts.fitsStack(); !errors.Is(err, distributor.ErrImage) || !strings.Contains(err.Error(), "127 layers") {
		t.Errorf("layers: %v", err)
	}
}

// An image whose configuration names another's layer, and has other files there, is refused: under that layer's ID an
// engine that doesn't look would give them to all.
func TestALayerThatIsNotWhatItSaysIsNotFed(t *testing.T) {
	base, evil := files(t, "base", "1"), files(t, "base", "2")
	_, f := stackOf(t, `{}`, evil, files(t, "more", "3"))
	f.parts.config.RootFS.DiffIDs[0] = v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(base))}
	var b bytes.Buffer
	err := f.stack(tar.NewWriter(&b))
	if !errors.Is(err, distributor.ErrImage) || !strings.Contains(err.Error(), "its configuration says sha256:") {
		t.Errorf("error %v", err)
	}
	reader := &oldReader{map[string]oldImage{}, map[string]string{}}
	if err := reader.load(io.MultiReader(&b, iotest.ErrReader(io.ErrUnexpectedEOF))); err == nil || len(reader.images) != 0 {
		t.Errorf("the archive that breaks off gave it %d images, error %v", len(reader.images), err)
	}
}

// The IDs are those that docker save of 20.10 gave these layers, so that what a person carries there by save and load
// is shared.
func TestLayersHaveTheIDsOfDockerSave(t *testing.T) {
	var layers []v1.Hash
	for _, hex := range []string{"33424ce77d238fdee20fd488dcb8d469c193e453dfa5a70ee4e0f8b374184ac2", "2ff9bac9a6a833e46719248bacf6ee7ea70c1b9d3afe36f06532d6a4075d2591"} {
		layers = append(layers, v1.Hash{Algorithm: "sha256", Hex: hex})
	}
	const first, second = "c0df921a4a7351a0dd9cea886e677030a9025eaf120f1bb7b108d109a1cbdab3", "953fc82a6caae56e80a0f0a967f29946683ce66af37346f5bd481150a93d4cae"
	if got := legacyIDs(layers); len(got) != 2 || got[0] != (legacyID{first, ""}) || got[1] != (legacyID{second, first}) {
		t.Errorf("got %+v", got)
	}
}

// A name is believed of the ID that is its digest alone.
func TestAnOldEnginesTagProvesNothingAlone(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	tag := "r.example/base:" + keptMark + digest
	image := messages.Image("r.example/base@sha256:" + digest)
	if i := stackedImage(digest, nil, []string{tag, "x:1"}); !i.Has(image) || !i.LocalOnly || len(i.Tags) != 1 {
		t.Errorf("of the right ID: %+v", i)
	} else if i.Fed {
		t.Error("it is to ask its registry for the digest, and would pull what it can't use")
	}
	if i := stackedImage(strings.Repeat("cd", 32), nil, []string{tag, "x:1"}); i.Has(image) || len(i.Tags) != 1 {
		t.Errorf("of another ID: %+v", i)
	}
}

// ourEngine is the machine's engine.
func ourEngine(t *testing.T) *Engine {
	t.Helper()
	e, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	if _, err := e.Info(t.Context()); err != nil {
		t.Fatalf("this test needs a Docker engine: run make setup, or set DOCKER_HOST: %v", err)
	}
	return e
}

// shellLayer is a layer with a shell.
func shellLayer(t *testing.T) []byte {
	t.Helper()
	dir, _ := os.Getwd()
	for file := os.Getenv("FENCELINE_BUSYBOX"); ; dir = filepath.Dir(dir) {
		if file == "" {
			file = filepath.Join(dir, ".fenceline/base/busybox")
		}
		if b, err := os.ReadFile(file); err == nil {
			var l bytes.Buffer
			w := tar.NewWriter(&l)
			if err := errors.Join(w.WriteHeader(&tar.Header{Name: "bin/sh", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(b))}), writeAll(w, string(b)), w.Close()); err != nil {
				t.Fatal(err)
			}
			return l.Bytes()
		}
		if file = ""; dir == "/" {
			t.Fatal("this test needs .fenceline/base/busybox: run make setup, or name a static busybox in FENCELINE_BUSYBOX")
		}
	}
}

// Docker up to 28 still reads the old form. A container of what was loaded so has its files and its configuration.
func TestTheOldFormRunsOnTheMachinesEngine(t *testing.T) {
	e := ourEngine(t)
	_, f := stackOf(t, `{"Env":["GREETING=hello"],"Entrypoint":["/bin/sh","-c"],"Cmd":["echo $GREETING; read x </unique; echo $x; exit 3"]}`,
		shellLayer(t), files(t, "unique", messages.NewID()+"\n"))
	tag := keptTag(f.parts.image)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(func() {
		defer cancel()
		if _, err := e.api().ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	if err := e.load(ctx, bytes.NewReader(fed(t, f.stack)), func() {}); err != nil {
		t.Fatal(err)
	}
	made, err := e.api().ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: tag}, HostConfig: &container.HostConfig{NetworkMode: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.removeContainer(ctx, made.ID); err != nil {
			t.Error(err)
		}
	})
	if _, err := e.api().ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	wait := e.api().ContainerWait(ctx, made.ID, client.ContainerWaitOptions{})
	select {
	case end := <-wait.Result:
		if said := e.lastLines(ctx, made.ID); end.StatusCode != 3 || !strings.HasPrefix(said, "hello\n") || len(said) < len("hello\n")+5 {
			t.Errorf("it ended with %d and said %q", end.StatusCode, said)
		}
	case err := <-wait.Error:
		t.Fatal(err)
	}
}

// An agent that ends between the two names of a note, which is an image there, leaves none that can't be removed.
func TestANoteGoesWithBothItsNames(t *testing.T) {
	note := distributor.Note{Kind: distributor.NotePull, Realm: "fenceline.local/f", Text: "r.example/base"}
	text, err := json.Marshal(note)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	tags := []string{noteTag(note), noteTag(note) + newTag}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var answer any
		switch path := strings.TrimPrefix(r.URL.Path, "/v1.15"); {
		case path == "/_ping":
		case path == "/version":
			answer = map[string]string{"ApiVersion": "1.15"}
		case path == "/images/json" && len(tags) == 0:
			answer = []any{}
		case path == "/images/json":
			answer = []any{map[string]any{"Id": "aa", "RepoTags": tags}}
		case r.Method == http.MethodGet && len(tags) > 0:
			answer = map[string]any{"Id": "aa", "Comment": noteComment + string(text)}
		case r.Method == http.MethodDelete && slices.Contains(tags, strings.TrimPrefix(path, "/images/")):
			tags = slices.DeleteFunc(tags, func(tag string) bool { return tag == strings.TrimPrefix(path, "/images/") })
			answer = []any{}
		default:
			http.Error(w, "No such image", http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	e, err := New(Config{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	if all, err := e.Notes(t.Context()); err != nil || len(all) != 1 {
		t.Fatalf("the notes are %v, error %v", all, err)
	}
	if err := e.RemoveNote(t.Context(), note); err != nil {
		t.Fatal(err)
	}
	if all, err := e.Notes(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after it was removed the notes are %v, error %v", all, err)
	}
}
