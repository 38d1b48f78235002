package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"archive/tar"
	"bytes"
	"compress/gzip"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

const (
	updateBytes = 20 << 20 // of an update's one layer, packed
	baseLayers  = 8
	baseBytes   = 25 << 20 // of each of the base's layers
	mostBytes   = 1.02     // of what an update's layer has
)

// origin is a registry that counts what it gives.
type origin struct {
	server *httptest.Server
	gave   atomic.Int64
	base   []v1.Layer
	images []string // that were pushed
}

func startOrigin() (*origin, error) {
	o := &origin{}
	handler := registry.New(registry.Logger(discard()))
	o.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(&countedWriter{w, &o.gave}, r)
	}))
	for range baseLayers {
		l, err := randomLayer(baseBytes)
		if err != nil {
			return nil, err
		}
		o.base = append(o.base, l)
	}
	return o, nil
}

// countedWriter counts an answer's bytes.
type countedWriter struct {
	http.ResponseWriter
	gave *atomic.Int64
}

// Write writes and counts.
func (c *countedWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.gave.Add(int64(n))
	return n, err
}

// randomLayer is a layer that no engine has, of bytes that can't be packed.
func randomLayer(size int) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	content := make([]byte, size)
	_, _ = rand.Read(content)
	err := errors.Join(w.WriteHeader(&tar.Header{Name: "payload-" + messages.NewID(), Mode: 0o644, Size: int64(size)}), writeAll(w, content), w.Close())
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

// filesLayer is a layer of a distribution's files, packed as builders do, in a folder that no engine has: as many of those
// of a base's layer as come to a size.
func filesLayer(base string, size int) (_ v1.Layer, err error) {
	f, err := os.Open(base)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	r, w := tar.NewReader(unpacked), tar.NewWriter(z)
	for id := messages.NewID(); packed.Len() < size; {
		h, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("taking %d MB of files from %s: %w", size>>20, base, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		h.Name = "update-" + id + "/" + h.Name
		err = w.WriteHeader(h)
		if err == nil {
			_, err = io.CopyN(w, r, h.Size)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
}

func writeAll(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}

// push pushes an image of the base and some layers.
func (o *origin) push(repository string, more ...v1.Layer) (messages.Image, error) {
	image, err := mutate.AppendLayers(empty.Image, append(append([]v1.Layer{}, o.base...), more...)...)
	if err != nil {
		return "", err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return "", err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	ref, err := name.NewDigest(strings.TrimPrefix(o.server.URL, "http://") + "/" + repository + "@" + digest.String())
	if err != nil {
		return "", err
	}
	o.images = append(o.images, ref.String())
	return messages.Image(ref.String()), remote.Write(ref, image)
}

// puller is a distributor and a controller of the program, to which the bench announces images as a builder does.
type puller struct {
	*origin
	broker *broker
	queue  *queue.Client
	builds *builds.Queue
	roles  []*site.Process // the last one is the distributor
	log    io.Writer
	files  string // a layer of a distribution's files

	working sync.WaitGroup
	stop    context.CancelFunc

	bytes []float64 // of each update, to its layer
}

// startPuller starts one that fetches in a way, with the base on its engine.
func startPuller(ctx context.Context, o options, way messages.PullWay) (_ *puller, err error) {
	p := &puller{log: o.log, files: filepath.Join(o.dir, "base", "layer.tar.gz")}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx))
		}
	}()
	if p.origin, err = startOrigin(); err != nil {
		return nil, err
	}
	if p.broker, err = startBroker(ctx, o); err != nil {
		return nil, err
	}
	if p.queue, err = p.broker.connect(ctx, ""); err != nil {
		return nil, err
	}
	p.builds = builds.New(p.queue)
	working, stop := context.WithCancel(ctx)
	p.stop = stop
	p.work(working)
	for _, args := range [][]string{
		{"controller"},
		{"distributor", "--fleet", fleet, "--node", "bench", "--pull", string(way), "--min-free-bytes", "1000000"},
	} {
		role, err := p.broker.role(o.program, args[0], args[1:]...)
		if err != nil {
			return nil, err
		}
		p.roles = append(p.roles, role)
	}
	if err := p.joined(ctx); err != nil {
		return nil, err
	}
	base, err := p.push("bench/update")
	if err != nil {
		return nil, err
	}
	_, err = p.present(ctx, base)
	return p, err
}

// joined waits until the node is a member of its fleet.
func (p *puller) joined(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	member := false
	err := store.Members(p.queue).Watch(ctx, func(e queue.Entry[messages.Member]) {
		member = true
		cancel()
	}, func() {})
	if !member {
		return fmt.Errorf("the node joins no fleet: %w\n%s", err, p.tails())
	}
	return nil
}

// tails are the last words of the roles.
func (p *puller) tails() string {
	said := ""
	for _, r := range p.roles {
		said += r.Tail(10)
	}
	return said
}

// present builds an image, and returns how long it takes from image-ready until the node has it.
func (p *puller) present(ctx context.Context, image messages.Image) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	there := make(chan time.Time, 1)
	caughtUp, ended := make(chan struct{}), make(chan error, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		ended <- store.Nodes(p.queue).Watch(watching, func(e queue.Entry[messages.NodeStatus]) {
			if slices.ContainsFunc(e.Value.Images, func(i messages.PresentImage) bool { return i.Image == image }) {
				select {
				case there <- time.Now():
				default:
				}
			}
		}, func() { close(caughtUp) })
	}()
	select {
	case <-caughtUp:
	case err := <-ended:
		return 0, err
	}
	build, err := p.build(ctx, image)
	if err != nil {
		return 0, err
	}
	select {
	case at := <-there:
		announced, err := p.announced(ctx, build)
		return at.Sub(announced), err
	case <-ctx.Done():
		return 0, fmt.Errorf("the node does not get %s: %w\n%s", image, ctx.Err(), p.tails())
	}
}

// build asks for a build that comes to an image.
func (p *puller) build(ctx context.Context, image messages.Image) (string, error) {
	policy := messages.DefaultPolicy()
	policy.Canaries, policy.Trial.Disabled = 0, true
	request := &messages.BuildRequested{
		Build: messages.NewBuildID("bench"), Commit: strings.TrimPrefix(image.Digest(), "sha256:")[:40],
		Pipeline: messages.Pipeline{
			Name: "bench", Repository: "https://git.example/bench.git", Branch: "main", Dockerfile: "Dockerfile", Image: image.Name(), HooksDir: messages.DefaultHooksDir,
			Timeout: messages.Duration(time.Minute), Attempts: 1, RetryFor: messages.DefaultRetryFor, Fleets: []messages.FleetTarget{{Fleet: fleet, Policy: policy}},
		},
		Cause: messages.CausePerson, RequestedBy: string(image), Received: time.Now().UTC(),
	}
	if _, err := p.builds.Request(ctx, request, ""); err != nil {
		return "", err
	}
	return request.Build, nil
}

// work does what is asked for as a builder does, but that the images are there already.
func (p *puller) work(ctx context.Context) {
	p.working.Go(func() {
		_ = p.builds.Consume(ctx, builds.Work{ // its end shows as a build that isn't done
			Worker: "bench", Logger: zerolog.Nop(),
			Build: func(_ context.Context, j *builds.Job) (messages.Payload, error) {
				r := j.Request
				return &messages.ImageReady{
					Image: messages.Image(r.RequestedBy), Tag: "bench", Commit: r.Commit, HooksDir: r.Pipeline.HooksDir, Fleets: r.Pipeline.Fleets, Received: r.Received,
				}, nil
			},
		})
	})
}

// announced is when the image of a build was announced.
func (p *puller) announced(ctx context.Context, build string) (at time.Time, err error) {
	space := p.queue.Space()
	err = p.queue.Read(ctx, space.EventsStream(), queue.ReadOptions{Filters: []string{space.BuildSubject(messages.TypeImageReady, "bench", build)}}, func(m queue.Received) error {
		at = m.Stored
		return nil
	})
	if err == nil && at.IsZero() {
		err = fmt.Errorf("build %s announced no image", build)
	}
	return at, err
}

// update takes the time of an update of one layer by the distributor.
func (p *puller) update(ctx context.Context) (time.Duration, error) {
	image, size, err := p.pushUpdate()
	if err != nil {
		return 0, err
	}
	before := p.gave.Load()
	took, err := p.present(ctx, image)
	p.bytes = append(p.bytes, float64(p.gave.Load()-before)/float64(size))
	return took, err
}

// pushUpdate pushes an update of one layer, and returns that layer's size.
func (p *puller) pushUpdate() (messages.Image, int64, error) {
	layer, err := filesLayer(p.files, updateBytes)
	if err != nil {
		return "", 0, err
	}
	size, err := layer.Size()
	if err != nil {
		return "", 0, err
	}
	image, err := p.push("bench/update", layer)
	return image, size, err
}

// byHand takes that of docker pull.
func (p *puller) byHand(ctx context.Context) (time.Duration, error) {
	image, _, err := p.pushUpdate()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	_, err = site.Docker(ctx, "pull", "--quiet", string(image))
	return time.Since(start), err
}

// close ends everything, and takes its images off the engine.
func (p *puller) close(ctx context.Context) error {
	var errs []error
	if p.stop != nil {
		p.stop()
		p.working.Wait()
	}
	for _, r := range p.roles {
		errs = append(errs, r.Stop(stopTimeout))
	}
	if p.queue != nil {
		p.queue.Close()
	}
	if p.broker != nil {
		errs = append(errs, p.broker.close())
	}
	if p.origin != nil {
		p.server.Close()
		errs = append(errs, p.forget(context.WithoutCancel(ctx)))
	}
	return errors.Join(errs...)
}

// forget removes the images that were pushed, under whatever name.
func (o *origin) forget(ctx context.Context) error {
	var errs []error
	for _, image := range o.images {
		id, err := site.Docker(ctx, "images", "--no-trunc", "--quiet", "--filter", "reference="+image)
		if err != nil || strings.TrimSpace(id) == "" {
			continue // it was removed already
		}
		_, err = site.Docker(ctx, "image", "rm", "--force", strings.Fields(id)[0])
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// updatePull takes the time from image-ready of an image with a new top layer until the node reports
// it present, against docker pull of such an image.
func updatePull(ctx context.Context, o options) (Figure, error) {
	return pullFigure(ctx, o, "update_pull_ratio", messages.PullEngine, 1.1)
}

// loadUpdate is the same of the way load.
func loadUpdate(ctx context.Context, o options) (Figure, error) {
	return pullFigure(ctx, o, "load_ratio", messages.PullLoad, 0.8)
}

func pullFigure(ctx context.Context, o options, figure string, way messages.PullWay, most float64) (_ Figure, err error) {
	const n = 9
	p, err := startPuller(ctx, o, way)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	ours, theirs, err := pairs(ctx, n, p.update, p.byHand)
	if err != nil {
		return Figure{}, err
	}
	bytes := median(p.bytes)
	fmt.Fprintf(o.log, "bench: %s: %v, docker pull %v; %.4f of the layer's bytes\n", way, ours, theirs, bytes)
	f := ratioFigure(figure, fmt.Sprintf("docker pull; %.4f of the layer's bytes were fetched", bytes), ours, theirs, most)
	f.Target += fmt.Sprintf(", and at most %.2f of the layer's bytes", mostBytes)
	f.Met = f.Met && bytes <= mostBytes
	return f, nil
}

// temporary makes a folder that close removes.
func temporary(o options) (string, error) {
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	return dir, nil
}
