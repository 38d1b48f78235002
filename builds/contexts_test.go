package builds_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

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
	for _, name := range []string{"KV_fenceline-fleets", "fenceline-events", "OBJ_fenceline-contexts"} {
		eventually(t, "no consumer is left of "+name, func() bool {
			s, err := queuetest.JetStream(t, c).Stream(t.Context(), name)
			return err == nil && s.CachedInfo().State.Consumers == 0
		})
	}
}
