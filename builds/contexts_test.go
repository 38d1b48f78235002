package builds_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestContextsComeBackWhole(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	content := bytes.Repeat([]byte("fenceline"), 100_000)
	must(t, queueOf(c).PutContext(within(t), "ctx-1", bytes.NewReader(content)))
	r, err := queueOf(c).GetContext(within(t), "ctx-1")
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back of %d", len(got), len(content))
	}
	if _, err := queueOf(c).GetContext(within(t), "ctx-2"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("reading one that is not there: %v", err)
	}
	if err := queueOf(c).PutContext(within(t), "../x", bytes.NewReader(nil)); err == nil {
		t.Error("a bad name is taken")
	}
}

func TestReadersLeaveNoConsumersBehind(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	fleetRecord(t, c, "f")
	must(t, queueOf(c).PutContext(within(t), "ctx-1", strings.NewReader("a tar")))
	js := queuetest.JetStream(t, c)
	consumers := func(stream string) int {
		s, err := js.Stream(t.Context(), stream)
		must(t, err)
		return s.CachedInfo().State.Consumers
	}
	declared := map[string]int{"KV_fenceline-fleets": 0, c.Space().EventsStream(): 0, "OBJ_fenceline-contexts": 0}
	for name := range declared {
		declared[name] = consumers(name)
	}
	for range 5 {
		_, err := store.Fleets(c).List(within(t))
		must(t, err)
		must(t, c.Read(within(t), c.Space().EventsStream(), queue.ReadOptions{}, nil))
		r, err := queueOf(c).GetContext(within(t), "ctx-1")
		must(t, err)
		_, err = io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
	}
	for name, before := range declared {
		eventually(t, "no consumer is left of "+name, func() bool { return consumers(name) == before })
	}
}

// drip gives what it has in small parts, as a pipe does, and counts what was taken.
type drip struct {
	left, part int
	taken      atomic.Int64
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), d.part, d.left)
	d.left -= n
	d.taken.Add(int64(n))
	return n, nil
}

func TestAContextIsSentInWholePiecesAndNotFasterThanItIsStored(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	p := s.Proxy(t)
	far := s.Connect(t, through(p))
	const size = 40 << 20
	content := &drip{left: size, part: 8 << 10}
	p.HoldAnswers()
	sent := make(chan error, 1)
	go func() { sent <- queueOf(far).PutContext(within(t), "ctx-1", content) }()
	stream, err := queuetest.JetStream(t, c).Stream(within(t), "OBJ_fenceline-contexts")
	must(t, err)
	eventually(t, "what may be on its way is stored", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 32
	})
	select {
	case err := <-sent:
		t.Fatalf("with all answers held up: %v", err)
	case <-time.After(500 * time.Millisecond): // longer than the client library waits by itself
	}
	if taken := content.taken.Load(); taken > 33*128<<10 {
		t.Errorf("%d bytes were read before the first was known to be stored", taken)
	}
	p.Release()
	must(t, <-sent)
	info, err := stream.Info(within(t))
	must(t, err)
	if want := uint64(size/(128<<10) + 1); info.State.Msgs != want {
		t.Errorf("it is stored in %d messages, not %d", info.State.Msgs, want)
	}
	r, err := queueOf(c).GetContext(within(t), "ctx-1")
	must(t, err)
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != size {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

func TestWhatCanNotBeStoredOfAContextIsTakenAwayAndSaid(t *testing.T) {
	for name, test := range map[string]struct {
		content io.Reader
		is      error
		said    string
	}{
		"a full store":         {&drip{left: 8 << 20, part: 32 << 10}, queue.ErrFull, "raise max_bytes of the stream OBJ_fenceline-contexts"},
		"a folder that breaks": {io.MultiReader(&drip{left: 300_000, part: 32 << 10}, iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF, "ctx-1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := queuetest.Start(t)
			c := s.Client(t)
			s.Limit(t, "OBJ_fenceline-contexts", func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 2 << 20 })
			err := queueOf(c).PutContext(within(t), "ctx-1", test.content)
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.said) {
				t.Errorf("storing it: %v", err)
			}
			stream, err := queuetest.JetStream(t, c).Stream(within(t), "OBJ_fenceline-contexts")
			must(t, err)
			if left := stream.CachedInfo().State.Msgs; left != 0 {
				t.Errorf("%d messages are left of it", left)
			}
			must(t, queueOf(c).PutContext(within(t), "ctx-2", strings.NewReader("a tar")))
		})
	}
}
