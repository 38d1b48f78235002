package enginetest

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

func load(t *testing.T, f Fixture, image messages.Image) int64 {
	t.Helper()
	n, err := f.Engine.Load(within(t), image, f.Content(image), func(distributor.Progress) {})
	if err != nil {
		t.Fatalf("loading %s: %v", image, err)
	}
	return n
}

func testLoad(t *testing.T, f Fixture) {
	var last, total int64
	n, err := f.Engine.Load(within(t), f.Good, f.Content(f.Good), func(p distributor.Progress) { last, total = p.Bytes, p.Total })
	if err != nil || n <= 0 || last != n || total != n {
		t.Fatalf("loaded %d bytes with the last progress at %d of %d, error %v", n, last, total, err)
	}
	got, err := f.Engine.Inspect(within(t), f.Good)
	listed := find(t, f, f.Good)
	if err != nil || !got.Has(f.Good) || listed == nil || listed.ID != got.ID || got.ID == "" {
		t.Fatalf("inspected %v (error %v), listed %v", got, err, listed)
	}
	if n := load(t, f, f.Good); n != 0 {
		t.Fatalf("the second load fetched %d bytes", n)
	}
	if n := pull(t, f, f.Good); n != 0 {
		t.Fatalf("a pull after the load fetched %d bytes", n)
	}
}

func testLoadSharedLayers(t *testing.T, f Fixture) {
	first := pull(t, f, f.Good)
	if second := load(t, f, f.Next); second <= 0 || second >= first {
		t.Fatalf("fetched %d bytes for one small layer more, after %d for the image", second, first)
	}
	if i := find(t, f, f.Next); i == nil {
		t.Fatal("it is not there")
	}
}

// broken is a content whose layers break off, with the error.
type broken struct {
	distributor.Content
	err   error
	after int // blobs
}

func (b *broken) Manifest(ctx context.Context, digest string) ([]byte, error) {
	if b.after < 0 {
		return nil, b.err
	}
	return b.Content.Manifest(ctx, digest)
}

func (b *broken) Blob(ctx context.Context, digest string, size int64) (io.ReadCloser, error) {
	if b.after--; b.after < 0 {
		return nil, b.err
	}
	return b.Content.Blob(ctx, digest, size)
}

func testLoadErrors(t *testing.T, f Fixture) {
	for after := range 3 {
		at := &broken{f.Content(f.Good), distributor.ErrWrongBytes, after - 1}
		_, err := f.Engine.Load(within(t), f.Good, at, func(distributor.Progress) {})
		if at.after < 0 && !errors.Is(err, distributor.ErrWrongBytes) {
			t.Errorf("after %d blobs: %v, want ErrWrongBytes", after, err)
		}
		if i := find(t, f, f.Good); i != nil && at.after < 0 {
			t.Errorf("%v is there after a load that broke off", i)
		}
	}
	given := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(within(t))
	cancel(given)
	if _, err := f.Engine.Load(ctx, f.Next, f.Content(f.Next), func(distributor.Progress) {}); !errors.Is(err, given) {
		t.Fatalf("error %v, want the context's cause", err)
	}
}

// cutOff is a content whose second blob, the first layer, ends a context in its middle, as a kill of the agent does.
type cutOff struct {
	distributor.Content
	cancel func()
	blobs  int
}

func (c *cutOff) Blob(ctx context.Context, digest string, size int64) (io.ReadCloser, error) {
	b, err := c.Content.Blob(ctx, digest, size)
	if c.blobs++; c.blobs != 2 || err != nil {
		return b, err
	}
	return &half{b, ctx, size / 2, c.cancel}, nil
}

type half struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // the reader's
	left   int64
	cancel func()
}

func (h *half) Read(b []byte) (int, error) {
	if h.left == 0 {
		h.cancel()
		<-h.ctx.Done()
		return 0, context.Cause(h.ctx)
	}
	n, err := h.ReadCloser.Read(b[:min(int64(len(b)), h.left)])
	h.left -= int64(n)
	return n, err
}

func testLoadCutOff(t *testing.T, f Fixture) {
	given := errors.New("killed")
	ctx, cancel := context.WithCancelCause(within(t))
	at := &cutOff{Content: f.Content(f.Good), cancel: func() { cancel(given) }}
	_, err := f.Engine.Load(ctx, f.Good, at, func(distributor.Progress) {})
	if cut := at.blobs > 1; cut != errors.Is(err, given) {
		t.Fatalf("cut off: %v, error %v", cut, err)
	}
	if i := find(t, f, f.Good); i != nil && err != nil {
		t.Errorf("%v is there", i)
	}
	load(t, f, f.Good)
	if i := find(t, f, f.Good); i == nil {
		t.Error("it is not there after another load")
	}
}

func testLoadKeeps(t *testing.T, f Fixture) {
	load(t, f, f.Good)
	local := (&messages.FleetRecord{Fleet: f.Fleet}).LocalName(f.Good)
	if err := f.Engine.Tag(within(t), f.Good, local); err != nil {
		t.Fatal(err)
	}
	if i := find(t, f, f.Good); i == nil || !slices.Contains(i.Tags, local) || len(i.Tags) != 1 {
		t.Fatalf("%v does not have the tag %s alone", i, local)
	}
	r, err := f.Engine.Trial(within(t), distributor.Trial{
		Owner: f.Fleet + ".node", Rollout: "r", Image: f.Good, HooksDir: HooksDir, Hooks: []string{"pre-running"}, Timeout: time.Minute,
	})
	if err != nil || !r.Passed {
		t.Fatalf("its trial: %+v, error %v", r, err)
	}
	for _, name := range []string{string(f.Good), local} {
		if err := f.Engine.Remove(within(t), name); err != nil {
			t.Fatalf("removing %s: %v", name, err)
		}
	}
	if i := find(t, f, f.Good); i != nil {
		t.Fatalf("%v is left", i)
	}
}
