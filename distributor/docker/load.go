package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Load feeds the engine with what it lacks of an image. Where it turns out to lack more than it names, it is fed
// with all.
func (e *Engine) Load(ctx context.Context, image messages.Image, from distributor.Content, progress func(distributor.Progress)) (int64, error) {
	doing := "loading " + string(image)
	parts, err := e.partsOf(ctx, image, from)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	if _, err := e.Inspect(ctx, image); err == nil {
		return 0, nil
	}
	f := &feed{ctx: ctx, from: from, parts: parts, progress: progress}
	as, form, err := e.formOf(ctx, doing, f)
	if err != nil {
		return 0, err
	}
	held := f.held
	err = e.feed(ctx, doing, f, form)
	if err == nil {
		err = e.loaded(ctx, image, parts, as)
	}
	if err != nil && held > 0 && ctx.Err() == nil && f.broken == nil && !errors.Is(err, distributor.ErrEngine) && !errors.Is(err, distributor.ErrNoSpace) {
		f.held = 0
		if err = e.feed(ctx, doing, f, form); err == nil {
			err = e.loaded(ctx, image, parts, as)
		}
	}
	return f.bytes, err
}

// keeping is how an engine keeps images: what tells one from another.
type keeping int

// How engines keep images.
const (
	byConfig   keeping = iota // by the digests of their configurations
	byManifest                // by those of their manifests: containerd's store
	byGivenID                 // by the IDs that they came with: before Docker 1.10
)

// formOf finds out in which form an engine is fed, and what it has already.
func (e *Engine) formOf(ctx context.Context, doing string, f *feed) (as keeping, form func(*tar.Writer) error, err error) {
	stacks, err := e.stacks(ctx)
	if err == nil && stacks {
		if err := f.parts.fitsStack(); err != nil {
			return 0, nil, fmt.Errorf("%s: %w", doing, err)
		}
		if f.held, err = e.heldStack(ctx, legacyIDs(f.parts.config.RootFS.DiffIDs)); err == nil {
			return byGivenID, f.stack, nil
		}
	}
	if err != nil {
		return 0, nil, e.fault(ctx, doing, err)
	}
	lists, err := e.snapshots(ctx)
	if err == nil {
		f.held, err = e.heldLayers(ctx, f.parts, lists)
	}
	switch {
	case err != nil:
		return 0, nil, e.fault(ctx, doing, err)
	case lists:
		return byManifest, f.layout, nil
	}
	return byConfig, f.archive, nil
}

// feed has the engine load what form writes.
func (e *Engine) feed(ctx context.Context, doing string, f *feed, form func(*tar.Writer) error) error {
	r, w := io.Pipe()
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		archive := tar.NewWriter(w)
		f.broken = form(archive)
		w.CloseWithError(errors.Join(f.broken, archive.Close()))
		f.unpacking(done)
	}()
	err := e.load(ctx, r, f.again)
	close(done)
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	<-ended
	switch {
	case err == nil && (f.broken == nil || errors.Is(f.broken, io.ErrClosedPipe)): // it may have answered before it had read all
		f.broken = nil
		return nil
	case ctx.Err() != nil || f.broken == nil || errors.Is(f.broken, io.ErrClosedPipe):
		f.broken = nil
		return e.pullFault(ctx, doing, e.orGone(ctx, err), fixes())
	}
	return fmt.Errorf("%s: %w", doing, f.broken)
}

// load has the engine load an archive, and tells of each sign of life.
func (e *Engine) load(ctx context.Context, archive io.Reader, lives func()) error {
	answer, err := e.api().ImageLoad(ctx, archive, client.ImageLoadWithQuiet(false))
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	for said := json.NewDecoder(answer); ; {
		var m jsonstream.Message
		switch err := said.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case m.Error != nil:
			return m.Error
		}
		lives()
	}
}

// loaded checks that the engine has the image as it was fed.
func (e *Engine) loaded(ctx context.Context, image messages.Image, parts *parts, as keeping) error {
	got, err := e.Inspect(ctx, image)
	if err == nil && as == byConfig && got.ID != parts.configDigest {
		err = fmt.Errorf("loading %s: %w: it has the ID %s, not %s", image, distributor.ErrDamaged, got.ID, parts.configDigest)
	}
	if err == nil {
		e.noteChain(got.ID, parts.contents())
	}
	return err
}

// feed is what an engine is fed with.
type feed struct {
	ctx      context.Context //nolint:containedctx // of the one load that it is made for
	from     distributor.Content
	parts    *parts
	held     int // so many layers, from the first on, the engine has
	progress func(distributor.Progress)
	bytes    int64 // of layers that were fetched
	broken   error // why what it is fed with broke off

	mu   sync.Mutex
	last distributor.Progress
}

const (
	// unpackTime is how long an engine may take to unpack what it was fed without a sign of life: some give none.
	unpackTime = 15 * time.Minute
	// unpackTold is how often it is told meanwhile that it goes on.
	unpackTold = 10 * time.Second
)

// tell tells how far it is.
func (f *feed) tell(p distributor.Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = p
	f.progress(p)
}

// again tells that it goes on.
func (f *feed) again() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress(f.last)
}

// unpacking tells that it goes on while the engine unpacks, until done.
func (f *feed) unpacking(done <-chan struct{}) {
	tick := time.NewTicker(unpackTold)
	defer tick.Stop()
	for range int(unpackTime / unpackTold) {
		select {
		case <-done:
			return
		case <-tick.C:
			f.again()
		}
	}
}

// archive writes what docker save writes: for engines that keep images by the digests of their configurations.
func (f *feed) archive(w *tar.Writer) error {
	type item struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	one := item{Config: hexOf(f.parts.configDigest) + ".json", RepoTags: []string{keptTag(f.parts.image)}}
	for _, l := range f.parts.manifest.Layers {
		one.Layers = append(one.Layers, hexOf(l.Digest.String())+".tar")
	}
	list, err := json.Marshal([]item{one})
	if err == nil {
		err = write(w, "manifest.json", list)
	}
	if err == nil {
		err = write(w, one.Config, f.parts.rawConfig)
	}
	if err != nil {
		return err
	}
	return f.layers(w, func(hex string) string { return hex + ".tar" })
}

// layout writes an OCI layout: for engines that keep images by the digests of their manifests.
func (f *feed) layout(w *tar.Writer) error {
	named := messages.CanonicalName(string(f.parts.image))
	type descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Annotations map[string]string `json:"annotations"`
	}
	top := f.parts.manifests[0]
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{{
		top.mediaType, top.digest, len(top.raw), map[string]string{"io.containerd.image.name": named},
	}}})
	if err != nil {
		return err
	}
	files := []struct {
		name    string
		content []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}, {blobPath(hexOf(f.parts.configDigest)), f.parts.rawConfig}}
	for _, m := range f.parts.manifests {
		files = append(files, struct {
			name    string
			content []byte
		}{blobPath(hexOf(m.digest)), m.raw})
	}
	for _, file := range files {
		if err := write(w, file.name, file.content); err != nil {
			return err
		}
	}
	return f.layers(w, blobPath)
}

// layers writes the layers that the engine lacks, each once.
func (f *feed) layers(w *tar.Writer, file func(hex string) string) error {
	seen := map[string]bool{}
	for n, l := range f.parts.manifest.Layers[f.held:] {
		digest := l.Digest.String()
		if seen[digest] {
			continue
		}
		seen[digest] = true
		if err := f.one(w, file(hexOf(digest)), f.held+n, io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// one writes a layer, by its place among all, and shows it to somebody else.
func (f *feed) one(w *tar.Writer, file string, at int, too io.Writer) error {
	var total int64
	for _, l := range f.parts.manifest.Layers[f.held:] {
		total += l.Size
	}
	l := f.parts.manifest.Layers[at]
	digest := l.Digest.String()
	blob, err := f.from.Blob(f.ctx, digest, l.Size)
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }()
	return copyTo(w, file, l.Size, counted{io.TeeReader(blob, too), func(n int) {
		f.bytes += int64(n)
		f.tell(distributor.Progress{Bytes: f.bytes, Total: max(total, f.bytes), Layer: hexOf(digest)[:12], From: f.from.From()})
	}})
}

// counted tells of what is read.
type counted struct {
	io.Reader
	tell func(int)
}

// Read reads and tells.
func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if n > 0 {
		c.tell(n)
	}
	return n, err
}

func copyTo(w *tar.Writer, name string, size int64, from io.Reader) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{from}, make([]byte, 256<<10))
	return err
}

func write(w *tar.Writer, name string, content []byte) error {
	return copyTo(w, name, int64(len(content)), strings.NewReader(string(content)))
}

func blobPath(hex string) string { return path.Join("blobs", "sha256", hex) }

func hexOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") }
