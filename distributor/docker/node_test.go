//go:build linux

package docker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/messages"
)

// box is a message queue that keeps what a node says.
type box struct {
	record messages.FleetChanged
	beats  chan *messages.NodeStatus

	mu     sync.Mutex
	events []messages.Payload
}

func (b *box) ReadFleet(context.Context, string) (messages.FleetChanged, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record, nil
}

// set changes the fleet's record.
func (b *box) set(change func(*messages.FleetRecord)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.record.Revision++
	change(&b.record.Record)
}

func (b *box) WatchFleet(ctx context.Context, _ string, _ func(messages.FleetChanged)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (b *box) Heartbeat(ctx context.Context, s *messages.NodeStatus) error {
	select {
	case b.beats <- s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *box) Publish(_ context.Context, _ string, p messages.Payload) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, p)
	return nil
}

// node runs an agent on the engine, for a rollout of the image with it as a canary.
func (o *own) node(image messages.Image, minFree int64, hooks ...string) *box {
	o.t.Helper()
	b := &box{beats: make(chan *messages.NodeStatus), record: messages.FleetChanged{Revision: 1, Record: messages.FleetRecord{
		Fleet: o.world.fleet,
		Preload: &messages.Preload{
			FleetImage: messages.FleetImage{Image: image, Rollout: "r1", HooksDir: messages.DefaultHooksDir},
			Hooks:      hooks, Canaries: []string{"node"}, Trial: messages.Trial{Timeout: messages.Duration(time.Minute)},
		},
	}}}
	agent, err := distributor.New(distributor.Config{
		Fleet: o.world.fleet, Node: "node", Queue: b, Engine: o.client(),
		Interval: 2 * time.Second, MinFreeBytes: minFree, Logger: zerolog.New(o.t.Output()),
	})
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- agent.Run(ctx) }()
	o.t.Cleanup(func() {
		stop()
		for {
			select {
			case <-b.beats:
			case err := <-ended:
				if err != nil {
					o.t.Errorf("the agent ended with %v", err)
				}
				return
			}
		}
	})
	return b
}

// says waits for a heartbeat.
func (b *box) says(t *testing.T, what string, holds func(*messages.NodeStatus) bool) *messages.NodeStatus {
	t.Helper()
	limit := time.NewTimer(3 * time.Minute)
	defer limit.Stop()
	var last *messages.NodeStatus
	for {
		select {
		case last = <-b.beats:
			if holds(last) {
				return last
			}
		case <-limit.C:
			t.Fatalf("the node did not say that %s; its last heartbeat is %+v with work %+v", what, last, last.Work)
		}
	}
}

// saying runs f while heartbeats are read, and tells whether one of them was as wanted: what a node says for a
// moment alone is missed by who begins to read later.
func (b *box) saying(f func(), holds func(*messages.NodeStatus) bool) (held bool) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case s := <-b.beats:
				held = held || holds(s)
			case <-done:
				return
			}
		}
	}()
	defer func() { close(done); <-stopped }()
	f()
	return
}

func state(s messages.WorkState) func(*messages.NodeStatus) bool {
	return func(n *messages.NodeStatus) bool { return n.Work != nil && n.Work.State == s }
}

func engineGone(s *messages.NodeStatus) bool { return s.Engine.Error != "" }

// noise is a layer that can't be compressed. It is made anew each time that it is read: the race detector's memory
// grows with the most that a process ever held.
func noise(t *testing.T, mib int) v1.Layer {
	t.Helper()
	var seed [32]byte
	_, _ = rand.Read(seed[:])
	size := int64(mib) << 20
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			archive := tar.NewWriter(w)
			err := archive.WriteHeader(&tar.Header{Name: "noise", Typeflag: tar.TypeReg, Mode: 0o755, Size: size})
			if err == nil {
				_, err = io.CopyN(archive, mathrand.NewChaCha8(seed), size)
			}
			if err == nil {
				err = archive.Close()
			}
			w.CloseWithError(err)
		}()
		return r, nil
	}, tarball.WithCompressionLevel(gzip.NoCompression))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestADiskThatIsFull(t *testing.T) { eachKind(t, testADiskThatIsFull) }

func testADiskThatIsFull(t *testing.T, k kind) {
	k.disk, k.blind = "90", true
	o := ownEngine(t, k)
	image := o.world.push(t, o.world.base, noise(t, 64))
	b := o.node(image, 1<<20)
	got := b.says(t, "the disk is full", state(messages.WorkFailed))
	// By the engine's words, or by the agent's where it looked at the disk first.
	byEngine := strings.Contains(got.Work.Reason, "no space left on device") && strings.Contains(got.Work.Reason, "free space where the engine keeps images")
	byAgent := strings.Contains(got.Work.Reason, "was given up: no space left") && strings.Contains(got.Work.Reason, "remove images or files")
	if !strings.Contains(got.Work.Reason, string(image)) || !byEngine && !byAgent {
		t.Errorf("the reason is %q", got.Work.Reason)
	}
	if len(got.Images) != 0 || got.Engine.Error != "" || got.FreeBytes < 0 || got.FreeBytes > 90<<20 {
		t.Errorf("heartbeat %+v", got)
	}
	o.disk(unix.MS_REMOUNT, "400")
	got = b.says(t, "it has the image", state(messages.WorkDone))
	if len(got.Images) != 1 || got.Images[0].Image != image || !got.Work.Trial.Passed {
		t.Errorf("heartbeat %+v with work %+v", got, got.Work)
	}
}

// What the fleet no longer wants is gone from the disk, not only from the lists.
func TestAnImageThatIsNotWantedFreesItsSpace(t *testing.T) { eachKind(t, testFreesItsSpace) }

func testFreesItsSpace(t *testing.T, k kind) {
	k.disk = "400"
	o := ownEngine(t, k)
	first, second := o.world.push(t, o.world.base, noise(t, 64)), o.world.push(t, o.world.base)
	b := o.node(first, 1<<20)
	full := b.says(t, "it has the first", state(messages.WorkDone)).FreeBytes
	b.set(func(r *messages.FleetRecord) {
		r.Preload = &messages.Preload{FleetImage: messages.FleetImage{Image: second, Rollout: "r2"}, Threshold: ^uint64(0)}
	})
	b.says(t, "the first is gone", func(s *messages.NodeStatus) bool {
		return state(messages.WorkDone)(s) && s.Work.Rollout == "r2" && s.FreeBytes > full+60<<20
	})
}

func TestADiskThatIsNearlyFull(t *testing.T) { eachKind(t, testADiskThatIsNearlyFull) }

func testADiskThatIsNearlyFull(t *testing.T, k kind) {
	var asked sync.Map
	k.disk, k.behind = "90", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Store(r.URL.Path, true)
			next.ServeHTTP(w, r)
		})
	}
	o := ownEngine(t, k)
	b := o.node(o.world.push(t, o.world.base), 1<<30)
	got := b.says(t, "the disk is nearly full", state(messages.WorkFailed))
	if !strings.Contains(got.Work.Reason, "1073741824 must stay free") || len(got.Images) != 0 {
		t.Errorf("heartbeat %+v with work %+v", got, got.Work)
	}
	asked.Range(func(path, _ any) bool {
		t.Errorf("the engine asked the registry for %s", path)
		return true
	})
	o.disk(unix.MS_REMOUNT, "1200")
	b.says(t, "it has the image", state(messages.WorkDone))
}

func TestAnEngineThatDiesDuringAPull(t *testing.T) { eachKind(t, testAnEngineThatDiesDuringAPull) }

func TestAnOldEngineThatDiesDuringALoad(t *testing.T) {
	testAnEngineThatDiesDuringAPull(t, kind{old: true})
}

func testAnEngineThatDiesDuringAPull(t *testing.T, k kind) {
	var once sync.Once
	reached, release := make(chan struct{}), make(chan struct{})
	k.behind = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				once.Do(func() { close(reached) })
				<-release
			}
			next.ServeHTTP(w, r)
		})
	}
	o := ownEngine(t, k)
	image := o.world.push(t, o.world.base)
	b := o.node(image, 1)
	<-reached
	b.says(t, "it pulls", state(messages.WorkPulling))
	o.stop(syscall.SIGKILL)
	close(release)
	b.says(t, "the engine is gone", func(s *messages.NodeStatus) bool { return engineGone(s) && state(messages.WorkFailed)(s) })
	o.start()
	b.says(t, "it has the image", func(s *messages.NodeStatus) bool {
		return state(messages.WorkDone)(s) && len(s.Images) == 1 && !engineGone(s)
	})
}

// However an engine ends, what that does to a trial is no verdict on the image.
func TestAnEngineThatEndsDuringATrial(t *testing.T) {
	for name, c := range map[string]struct {
		kind   kind
		signal syscall.Signal
	}{
		"stopped": {kind{}, syscall.SIGTERM}, "killed": {kind{}, syscall.SIGKILL}, "stopped by systemd": {kind{opened: true}, syscall.SIGTERM},
		"Docker 1.3, stopped": {kind{old: true}, syscall.SIGTERM}, "Docker 1.3, killed": {kind{old: true}, syscall.SIGKILL},
		"today's, stopped": {kind{today: true}, syscall.SIGTERM}, "today's, killed": {kind{today: true}, syscall.SIGKILL},
	} {
		t.Run(name, func(t *testing.T) {
			o := ownEngine(t, c.kind)
			image := o.world.hooked(t, map[string]string{"pre-running": "#!/bin/sh\ntrap 'exit 7' TERM\n" +
				"i=0; while [ $i -lt 40 ]; do /bin/busybox sleep 0.1; i=$((i+1)); done\necho survived\n"})
			b := o.node(image, 1, "pre-running")
			b.says(t, "it tries the image", state(messages.WorkTrial))
			o.until("the hook runs", func(ctx context.Context) bool { return len(o.containers(ctx, "running")) == 1 })
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				o.stop(c.signal)
			}()
			b.says(t, "the engine is gone", engineGone)
			<-stopped
			o.start()
			got := b.says(t, "the image is tried", func(s *messages.NodeStatus) bool { return s.Work != nil && s.Work.Trial != nil })
			if !got.Work.Trial.Passed || got.Work.Trial.Hooks[0].Output != "survived" {
				t.Errorf("the verdict is %+v", got.Work.Trial)
			}
			o.until("no container is left", func(ctx context.Context) bool { return len(o.containers(ctx, "")) == 0 })
			b.mu.Lock()
			defer b.mu.Unlock()
			if slices.ContainsFunc(b.events, func(p messages.Payload) bool { f, ok := p.(*messages.TrialFinished); return ok && !f.Passed }) {
				t.Errorf("events %+v blame the image", b.events)
			}
		})
	}
}

// containers lists the engine's containers, those in a state or all.
func (o *own) containers(ctx context.Context, state string) []string {
	o.t.Helper()
	if o.kind.old {
		return o.oldContainers(ctx, state)
	}
	api := o.site().api(o.t)
	filters := client.Filters{}
	if state != "" {
		filters = filters.Add("status", state)
	}
	list, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		o.t.Fatal(err)
	}
	var ids []string
	for _, c := range list.Items {
		ids = append(ids, c.ID)
	}
	return ids
}

// oldContainers is the same of Docker 1.3, which filters by no state and says it in words.
func (o *own) oldContainers(ctx context.Context, state string) []string {
	o.t.Helper()
	through := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", o.sock()) }, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/containers/json?all=1", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	got, err := (&http.Client{Transport: through}).Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer got.Body.Close()
	var list []struct{ ID, Status string }
	if err := json.NewDecoder(got.Body).Decode(&list); err != nil {
		o.t.Fatal(err)
	}
	var ids []string
	for _, c := range list {
		if state == "" || strings.HasPrefix(c.Status, "Up") {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// What an old engine has it has by the digest as its ID, and starts by its local name. What the fleet no longer wants
// goes, with the notes about it; what a person brought stays.
func TestANodeWithAnOldEngine(t *testing.T) {
	o := ownEngine(t, kind{old: true})
	hooks := map[string]string{"pre-running": "#!/bin/sh\necho runs\n"}
	first := o.world.hooked(t, hooks)
	b := o.node(first, 1, "pre-running")
	got := b.says(t, "it has the first", state(messages.WorkDone))
	if len(got.Images) != 1 || !got.Images[0].LocalOnly || "sha256:"+got.Images[0].ID != first.Digest() || !got.Work.Trial.Passed || got.Engine.API != "1.15" {
		t.Errorf("heartbeat %+v with work %+v", got, got.Work)
	}
	b.says(t, "it is in the ledger", func(s *messages.NodeStatus) bool { return len(s.Ledger) == 1 && s.Ledger[0].Image == first })
	e := o.client()
	if err := e.Tag(t.Context(), first, "own/copy:1"); err != nil {
		t.Fatal(err)
	}
	second := o.world.hooked(t, hooks)
	b.set(func(r *messages.FleetRecord) {
		r.Preload = &messages.Preload{FleetImage: messages.FleetImage{Image: second, Rollout: "r2"}, Threshold: ^uint64(0)}
	})
	b.says(t, "it has the second alone", func(s *messages.NodeStatus) bool {
		return state(messages.WorkDone)(s) && len(s.Images) == 1 && s.Images[0].Image == second && len(s.Ledger) == 1
	})
	o.until("only a person's name is left of the first", func(ctx context.Context) bool {
		images, err := e.Images(ctx)
		return err == nil && slices.ContainsFunc(images, func(i distributor.Image) bool {
			return slices.Equal(i.Tags, []string{"own/copy:1"})
		})
	})
	o.stop(syscall.SIGTERM)
	b.says(t, "the engine is gone", engineGone)
	o.start()
	b.says(t, "it has the second again", func(s *messages.NodeStatus) bool { return !engineGone(s) && len(s.Images) == 1 })
}

// An engine goes on listing an image whose files were deleted under it.
func TestAnImageWhoseFilesAreGoneIsNotPresent(t *testing.T) {
	o := ownEngine(t, kind{})
	image := o.world.push(t, o.world.base)
	b := o.node(image, 1)
	b.says(t, "it has the image", state(messages.WorkDone))
	found, err := o.site().api(o.t).ImageInspect(t.Context(), string(image))
	if err != nil {
		t.Fatal(err)
	}
	o.stop(syscall.SIGTERM)
	if err := os.RemoveAll(filepath.Dir(found.GraphDriver.Data["UpperDir"])); err != nil {
		t.Fatal(err)
	}
	unread := func(s *messages.NodeStatus) bool {
		return strings.Contains(s.Work.Reason, "can't read") && len(s.Images) == 0
	}
	if !b.saying(o.start, unread) {
		b.says(t, "it can't be read", unread)
	}
	b.says(t, "it has the image again", func(s *messages.NodeStatus) bool { return len(s.Images) == 1 && state(messages.WorkDone)(s) })
}

// What containerd lists and has not, as after a prune with the registry away, is removed and fetched anew.
func TestAnImageWhoseContentIsGoneIsFetchedAnew(t *testing.T) {
	for name, part := range map[string]func(*v1.Manifest, messages.Image) string{
		"the manifest":      func(_ *v1.Manifest, i messages.Image) string { return i.Digest() },
		"the configuration": func(m *v1.Manifest, _ messages.Image) string { return m.Config.Digest.String() },
	} {
		t.Run(name, func(t *testing.T) {
			o := ownEngine(t, kind{today: true})
			image := o.world.push(t, o.world.base)
			b := o.node(image, 1)
			b.says(t, "it has the image", state(messages.WorkDone))
			o.stop(syscall.SIGTERM)
			blobs := filepath.Join(o.store(), "io.containerd.content.v1.content/blobs/sha256")
			text, err := os.ReadFile(filepath.Join(blobs, strings.TrimPrefix(image.Digest(), "sha256:")))
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := v1.ParseManifest(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(blobs, strings.TrimPrefix(part(manifest, image), "sha256:"))); err != nil {
				t.Fatal(err)
			}
			lacks := func(s *messages.NodeStatus) bool { return s.Engine.Error == "" && len(s.Images) == 0 }
			if !b.saying(o.start, lacks) {
				b.says(t, "it lacks the image", lacks)
			}
			b.says(t, "it has the image again", func(s *messages.NodeStatus) bool { return len(s.Images) == 1 && state(messages.WorkDone)(s) })
		})
	}
}

// A registry that serves other bytes than were pushed.
func TestATamperedImageIsRefused(t *testing.T) { eachKind(t, testATamperedImageIsRefused) }

func testATamperedImageIsRefused(t *testing.T, k kind) {
	k.behind = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(&tamper{ResponseWriter: w}, r)
		})
	}
	o := ownEngine(t, k)
	b := o.node(o.world.push(t, o.world.base), 1)
	got := b.says(t, "it refuses the image", state(messages.WorkFailed))
	if len(got.Images) != 0 || !strings.Contains(got.Work.Reason, "verification failed") && !strings.Contains(got.Work.Reason, "unexpected commit digest") {
		t.Errorf("it claims %+v with the reason %q", got.Images, got.Work.Reason)
	}
}

// tamper changes the last byte of each write.
type tamper struct{ http.ResponseWriter }

func (w *tamper) Write(p []byte) (int, error) {
	p = slices.Clone(p)
	p[len(p)-1] ^= 1
	return w.ResponseWriter.Write(p)
}

var _ distributor.Engine = (*docker.Engine)(nil)
