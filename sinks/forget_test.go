package sinks

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/sinks/form"
)

// TestASinkThatAnotherWorkersFileNamesIsNotForgotten, as while the role is updated: it goes on where it was.
func TestASinkThatAnotherWorkersFileNamesIsNotForgotten(t *testing.T) {
	s, r, beside := newSite(t), newReceiver(t), newReceiver(t)
	old := []form.Sink{sinkAt(t, "beside", beside.URL)}
	newer := append(slices.Clone(old), sinkAt(t, "audit", r.URL))
	stop := running(t, worker(t, s.client(t), newer))
	s.begun(t, "beside", "audit")
	s.happens(t, "production", "one")
	eventually(t, "it is there", func() bool { return len(r.all()) == 1 })
	stop()
	stop = running(t, worker(t, s.client(t), old))
	s.happens(t, "production", "two")
	eventually(t, "the other sink has it", func() bool { return len(beside.all()) == 2 })
	eventually(t, "it is marked", func() bool { return s.record(t, "audit").Unnamed })
	stop()
	running(t, worker(t, s.client(t), newer))
	eventually(t, "it is there", func() bool { return slices.Equal(r.reasons("production"), []string{"one", "two"}) })
	eventually(t, "it is not marked any more", func() bool { return !s.record(t, "audit").Unnamed })
}

// TestASinkThatIsNoMoreIsForgotten after a while; one that wanted no more at once, as it has nothing to go on with.
func TestASinkThatIsNoMoreIsForgotten(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	gone := newReceiver(t)
	gone.status(http.StatusGone)
	stop := running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL), sinkAt(t, "gone", gone.URL)}))
	s.begun(t, "audit", "gone")
	s.happens(t, "production", "x")
	eventually(t, "one wants no more", func() bool { return s.record(t, "gone").Gone != "" })
	eventually(t, "the other has it", func() bool { return !s.record(t, "audit").Sent.IsZero() })
	stop()
	stop = running(t, worker(t, s.client(t), nil))
	eventually(t, "nothing is kept of one", func() bool { return s.record(t, "gone").Sink == "" })
	eventually(t, "the other is marked", func() bool { return s.record(t, "audit").Unnamed })
	stop()
	running(t, worker(t, s.client(t), nil, func(c *Config) { c.Keep = 50 * time.Millisecond }))
	eventually(t, "nothing is kept of the other", func() bool { return s.record(t, "audit").Sink == "" })
}

// TestARecordIsKeptFresh though nothing happens, as its bucket forgets what is old: also that of a sink that wants no more.
func TestARecordIsKeptFresh(t *testing.T) {
	s, r, gone := newSite(t), newReceiver(t), newReceiver(t)
	gone.status(http.StatusGone)
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "idle", r.URL), sinkAt(t, "gone", gone.URL)}, func(c *Config) { c.Refresh = 50 * time.Millisecond }))
	s.begun(t, "idle", "gone")
	s.happens(t, "production", "x")
	eventually(t, "one has it, and one wants no more", func() bool { return !s.record(t, "idle").Sent.IsZero() && s.record(t, "gone").Gone != "" })
	for _, name := range []string{"idle", "gone"} {
		for range 2 {
			was := s.record(t, name).Written
			eventually(t, name+"'s record is written again", func() bool { return s.record(t, name).Written.After(was) })
		}
	}
	if s.record(t, "gone").Gone == "" || gone.tries() != 1 {
		t.Errorf("it was asked %d times, and the record is %+v", gone.tries(), s.record(t, "gone"))
	}
}
