package docker

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/client/pkg/versions"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// An engine before Docker 1.10 keeps images as it is given them: each layer is an image with an ID, a parent and a
// configuration, and an ID says nothing of the content. `docker load` takes a folder for each (VERSION, json,
// layer.tar) and a file of names (repositories). It leaves out the folders of IDs that it has.
//
// A layer gets the ID that `docker save` gives it, which is a hash of its content and of all below it, so that
// layers are shared by images, also with those that a person carried there by save and load. The image itself is one
// more of them without files, whose ID is the image's digest: what has that ID was written by the agent that held
// every byte against that digest. So it proves there what a digest of the registry proves on others.

// plain is the configuration of a layer, as docker save writes it.
const plain = `{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,` +
	`"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}`

// epoch is when a layer was made, as docker save says: engines before 1.9 take no year 1.
const epoch = "1970-01-01T00:00:00Z"

// maxDepth is how many images may be stacked on such an engine: what AUFS, its usual store, takes.
const maxDepth = 127

// emptyLayer is an archive of no files: its end alone.
func emptyLayer() []byte { return make([]byte, 1024) }

// legacyID is one layer, by the ID that docker save gives it.
type legacyID struct{ id, parent string }

// legacyIDs are the IDs of layers, by the digests of their content from the lowest on: image/v1.CreateID of Docker.
func legacyIDs(layers []v1.Hash) []legacyID {
	chain := make([]digest.Digest, len(layers))
	for i, l := range layers {
		chain[i] = digest.Digest(l.String())
	}
	identity.ChainIDs(chain)
	out, parent := make([]legacyID, len(layers)), ""
	for i, c := range chain {
		text := fmt.Sprintf(`{"container_config":%s,"created":%q,"layer_id":%q`, plain, epoch, c)
		if parent != "" {
			text += fmt.Sprintf(`,"parent":"sha256:%s"`, parent)
		}
		out[i] = legacyID{fmt.Sprintf("%x", sha256.Sum256([]byte(text+"}"))), parent}
		parent = out[i].id
	}
	return out
}

// stacks tells whether the engine keeps images as it is given them.
func (e *Engine) stacks(ctx context.Context) (bool, error) {
	if _, err := e.version(ctx); err != nil {
		return false, err
	}
	return e.isBefore(apiDigests), nil
}

// Limits says what a node with an engine of such an API gets less than others, or "".
func Limits(api string) string {
	if api == "" || !versions.LessThan(api, apiDigests) {
		return ""
	}
	return "older than Docker 1.10: it is fed whatever its fleet's pull.way says, and starts images by local names alone, so that its fleet needs reference: local"
}

// isBefore tells whether the engine's own API is older, as far as that is known.
func (e *Engine) isBefore(version string) bool {
	api := e.gate.known()
	return api != "" && versions.LessThan(api, version)
}

// stackedImage sorts the names of an image on such an engine. What is tagged as fed, and isn't what its tag says, is
// taken for nothing. There is nothing that it could learn of a registry: it would fetch what it can't use.
func stackedImage(id string, digests, tags []string) distributor.Image {
	i := imageOf(id, digests, slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		kept := keptAs(tag)
		return kept != "" && hexOf(kept.Digest()) != id
	}))
	i.LocalOnly, i.Fed = true, false
	return i
}

// heldStack is how many layers of an image, from the first on, such an engine has: who has one has all below it.
func (e *Engine) heldStack(ctx context.Context, ids []legacyID) (int, error) {
	for n := len(ids); n > 0; n-- {
		_, err := e.api().ImageInspect(ctx, ids[n-1].id)
		if err == nil {
			return n, nil
		}
		if !errdefs.IsNotFound(err) {
			return 0, err
		}
	}
	return 0, nil
}

// fitsStack refuses an image that such an engine can't take in, before anything of it is fetched.
func (p *parts) fitsStack() error {
	if n := len(p.manifest.Layers); n >= maxDepth {
		return fmt.Errorf("%w: it has %d layers, and an engine before 1.10 stacks %d at most: join RUN and COPY steps, or build from the base's first image", distributor.ErrImage, n, maxDepth-1)
	}
	for _, l := range p.manifest.Layers {
		if strings.HasSuffix(string(l.MediaType), "zstd") {
			return fmt.Errorf("%w: its layer %s is compressed with zstd, which an engine before 23 can't unpack: build from a base with gzip layers", distributor.ErrImage, l.Digest)
		}
	}
	return nil
}

// stack writes what docker save of an engine before 1.10 writes.
func (f *feed) stack(w *tar.Writer) error {
	ids := legacyIDs(f.parts.config.RootFS.DiffIDs)
	top, err := topImage(f.parts, ids)
	if err != nil {
		return err
	}
	id := hexOf(f.parts.image.Digest())
	for n := range ids[f.held:] {
		l := ids[f.held+n]
		text := fmt.Sprintf(`{"id":%q,`, l.id)
		if l.parent != "" {
			text += fmt.Sprintf(`"parent":%q,`, l.parent)
		}
		text += fmt.Sprintf(`"created":%q,"container_config":%s,"os":"linux"}`, epoch, plain)
		if err := folder(w, l.id); err != nil {
			return err
		}
		unpacks := newUnpacks()
		err := f.one(w, l.id+"/layer.tar", f.held+n, unpacks)
		if got := unpacks.sum(); err == nil && got != f.parts.config.RootFS.DiffIDs[f.held+n].String() {
			err = fmt.Errorf("%w: its layer %s unpacks to %s, and its configuration says %s", distributor.ErrImage,
				f.parts.manifest.Layers[f.held+n].Digest, got, f.parts.config.RootFS.DiffIDs[f.held+n])
		}
		if err == nil {
			err = write(w, l.id+"/json", []byte(text))
		}
		if err != nil {
			return err
		}
	}
	names, err := repositories(keptTag(f.parts.image), id)
	if err != nil {
		return err
	}
	return errors.Join(emptyFolder(w, id, top), write(w, "repositories", names))
}

// unpacks finds out what a layer unpacks to, while it is written. Such an engine doesn't look, so that an image whose
// configuration lies would put other files under the ID of somebody's layer. An archive that breaks off there is
// refused as a whole.
type unpacks struct {
	*io.PipeWriter
	found chan string
}

func newUnpacks() *unpacks {
	r, w := io.Pipe()
	u := &unpacks{w, make(chan string, 1)}
	go func() {
		hash := sha256.New()
		err := unpackTo(hash, r)
		_, _ = io.Copy(io.Discard, r) // what is written goes on
		if err != nil {
			u.found <- "what can't be read: " + err.Error()
			return
		}
		u.found <- fmt.Sprintf("sha256:%x", hash.Sum(nil))
	}()
	return u
}

// unpackTo writes what a layer in gzip, or as it is, unpacks to.
func unpackTo(to io.Writer, layer io.Reader) error {
	from := bufio.NewReader(layer)
	var plain io.Reader = from
	if begins, _ := from.Peek(2); bytes.Equal(begins, []byte{0x1f, 0x8b}) {
		packed, err := gzip.NewReader(from)
		if err != nil {
			return err
		}
		plain = packed
	}
	_, err := io.Copy(to, plain)
	return err
}

// sum is the digest of what was written, unpacked.
func (u *unpacks) sum() string {
	_ = u.Close()
	return <-u.found
}

// folder begins the folder of an image.
func folder(w *tar.Writer, id string) error {
	if err := w.WriteHeader(&tar.Header{Name: id + "/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		return err
	}
	return write(w, id+"/VERSION", []byte("1.0"))
}

// emptyFolder is the folder of an image without files.
func emptyFolder(w *tar.Writer, id string, text []byte) error {
	return errors.Join(folder(w, id), write(w, id+"/layer.tar", emptyLayer()), write(w, id+"/json", text))
}

// repositories is the file of names with one.
func repositories(tag, id string) ([]byte, error) {
	at := strings.LastIndex(tag, ":")
	return json.Marshal(map[string]map[string]string{tag[:at]: {tag[at+1:]: id}})
}

// topImage is the image itself on top of its layers: what its configuration says, without what older engines have
// no place for.
func topImage(p *parts, below []legacyID) ([]byte, error) {
	var config map[string]json.RawMessage
	if err := json.Unmarshal(p.rawConfig, &config); err != nil {
		return nil, fmt.Errorf("%w: reading its configuration: %w", distributor.ErrImage, err)
	}
	leave(config, "created", "author", "architecture", "os", "config")
	own := map[string]any{"id": hexOf(p.image.Digest())}
	if len(below) > 0 {
		own["parent"] = below[len(below)-1].id
	}
	for field, otherwise := range map[string]string{"created": `"` + epoch + `"`, "config": "{}"} {
		if text := config[field]; len(text) == 0 || string(text) == "null" {
			config[field] = json.RawMessage(otherwise)
		}
	}
	for field, value := range own {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		config[field] = text
	}
	return json.Marshal(config)
}

// FeedFrom says where the parts of an image come from that the engine can't pull, as one before Docker 1.10 can't
// what registries keep today. It is called before the engine is used.
func (e *Engine) FeedFrom(contents distributor.Contents) { e.contents = contents }

// open makes the parts of an image readable for an engine that is fed instead of pulling.
func (e *Engine) open(image messages.Image) (distributor.Content, error) {
	if e.contents == nil {
		return nil, fmt.Errorf("the engine is older than Docker 1.10 (its API is %s), so that it can't pull what registries keep today, and this agent has nothing to feed it with", e.gate.known())
	}
	return e.contents.Open(image, nil)
}

// pullStack feeds such an engine instead of having it pull.
func (e *Engine) pullStack(ctx context.Context, image messages.Image, progress func(distributor.Progress)) (int64, error) {
	content, err := e.open(image)
	if err != nil {
		return 0, fmt.Errorf("pulling %s: %w", image, err)
	}
	return e.Load(ctx, image, content, progress)
}

// inspectStack looks at an image by the ID that is its digest.
func (e *Engine) inspectStack(ctx context.Context, doing string, name messages.Image) (distributor.Image, error) {
	i, err := e.api().ImageInspect(ctx, hexOf(name.Digest()))
	if err != nil {
		return distributor.Image{}, e.imageFault(ctx, doing, err)
	}
	got := stackedImage(i.ID, i.RepoDigests, i.RepoTags)
	if !got.Has(name) {
		return distributor.Image{}, fmt.Errorf("%s: %w: the engine has it without the name that the agent gave it", doing, distributor.ErrNotFound)
	}
	return got, nil
}
