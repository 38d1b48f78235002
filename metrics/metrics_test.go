package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// connection is one that is there.
type connection struct{ away error }

func (c connection) Connected() bool  { return c.away == nil }
func (connection) Reconnects() uint64 { return 2 }
func (c connection) RoundTrip(context.Context) (time.Duration, error) {
	return time.Millisecond, c.away
}
func (connection) Certificates() (server, client time.Time) {
	return time.Unix(1000, 0), time.Unix(2000, 0)
}

// everything is a registry of whose metrics each has a value.
func everything(t *testing.T) *Registry {
	t.Helper()
	r := New("v1")
	n := r.NATS("producer")["producer"]
	n.Answered(time.Second)
	n.Failed("full")
	r.Connection("producer", connection{})
	r.Ready("producer", func(context.Context) error { return nil })
	r.Certificate("producer", "webhooks", func() time.Time { return time.Unix(3000, 0) })
	r.State(func() int64 { return 1 })
	p := r.Producer()
	p.Came("github", Accepted)
	p.Stored("base", "push", false, time.Second)
	p.NotStored("base", "push")
	p.Loaded(false)
	p.File(func() PipelineFile { return PipelineFile{1, true, time.Unix(1, 0)} })
	b := r.Builder()
	b.Works(1, func(context.Context) error { return nil })
	b.Taken()(AttemptEnded)
	b.Waited(time.Second)
	b.Ended("base", "failed", "user")
	b.Step("push", time.Second)
	b.Pushed(1)
	c := r.Controller()
	c.Acts()
	c.Passed(1)
	c.Decided(1)
	c.Flipped("f")
	c.RolledBack("f", true)
	c.Held("f", false)
	c.FlippedAfter("f", time.Second)
	c.LastNodeAfter("f", time.Second)
	c.Fence("natskv", "write", FenceDone, time.Second)
	c.Fleets(func() []FleetNow {
		return []FleetNow{{Fleet: "f", Held: true, Rollouts: map[string]int{"done": 1}, Moving: &RolloutNow{State: "held"}}}
	})
	c.Storage(Storage{
		Backlog: func(context.Context) (Backlog, error) {
			return Backlog{1, []PipelineBacklog{{"base", 2, time.Minute}}}, nil
		},
		Letters: func(context.Context) (uint64, error) { return 3, nil },
		Streams: func(context.Context) ([]Stream, error) { return []Stream{{"requests", 1, 2, true}}, nil },
		Account: func(context.Context) (uint64, int64, error) { return 1, 2, nil },
	})
	d := r.Distributor()
	d.Pulled("engine", PullDone, 1, time.Second)
	d.Tried("passed")
	d.Applied("done")
	d.Beat(true)
	d.Node(func() (NodeNow, bool) { return NodeNow{true, 1, 2, 3}, true })
	r.Statuses().Told("github", "told")
	k := r.Sinks()
	k.Sent("chat", "delivered")
	k.Waiting("chat", 1, time.Second, true)
	return r
}

// TestWhatIsDeclaredIsTold gathers every metric that there is: each is declared, with the type and labels that it has, and
// named as Prometheus's conventions have it.
func TestWhatIsDeclaredIsTold(t *testing.T) {
	families, err := everything(t).all.Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "fenceline_") {
			labels := []string{}
			for _, l := range f.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			told[f.GetName()] = strings.ToLower(f.GetType().String()) + fmt.Sprint(labels)
		}
	}
	for _, m := range declared() {
		labels := slices.Sorted(slices.Values(m.labels))
		if want := string(m.kind) + fmt.Sprint(append([]string{}, labels...)); told[m.name] != want {
			t.Errorf("%s is told as %q, and declared as %q", m.name, told[m.name], want)
		}
		delete(told, m.name)
	}
	if len(told) > 0 {
		t.Errorf("these are told and not declared: %v", told)
	}
	problems, err := testutil.GatherAndLint(everything(t).all)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// TestLabelsAreBounded: no label is named for what grows with use, and what pipelines and fleets give one ends at a bound.
func TestLabelsAreBounded(t *testing.T) {
	unbounded := regexp.MustCompile(`node|build|commit|ref$|branch|tag|image|digest|user|address|path|url|reason_text`)
	for _, m := range declared() {
		for _, l := range m.labels {
			if unbounded.MatchString(l) {
				t.Errorf("%s has the label %s", m.name, l)
			}
		}
	}
	r := New("v1")
	b := r.Builder()
	for i := range 3 * mostNames {
		b.Ended(fmt.Sprintf("p%d", i), "succeeded", "")
	}
	if n := testutil.CollectAndCount(b.builds); n != mostNames+1 {
		t.Errorf("%d pipelines are told apart, want %d and the others", n, mostNames)
	}
}

// TestUnknownIsAbsent: what can't be asked for is left out of an answer that has all else.
func TestUnknownIsAbsent(t *testing.T) {
	away := errors.New("away")
	r := New("v1")
	r.Connection("controller", connection{away})
	c := r.Controller()
	c.Fleets(func() []FleetNow { return []FleetNow{{Fleet: "f"}} })
	c.Storage(Storage{
		Backlog: func(context.Context) (Backlog, error) { return Backlog{}, away },
		Letters: func(context.Context) (uint64, error) { return 0, away },
		Streams: func(context.Context) ([]Stream, error) { return nil, away },
		Account: func(context.Context) (uint64, int64, error) { return 0, 0, away },
	})
	r.Distributor().Node(func() (NodeNow, bool) { return NodeNow{}, false })
	page := scrape(t, r)
	if strings.Contains(page, "fenceline_fleet_members") {
		t.Error("a controller that does not act tells of fleets")
	}
	ended := c.Acts()
	page = scrape(t, r)
	for _, absent := range []string{"fenceline_queue_", "fenceline_dead_letters", "fenceline_stream_", "fenceline_jetstream_", "fenceline_node_", "round_trip"} {
		if strings.Contains(page, absent) {
			t.Errorf("%s is told, and can't be known:\n%s", absent, page)
		}
	}
	for _, told := range []string{`fenceline_fleet_members{fleet="f"} 0`, `fenceline_nats_connected{role="controller"} 0`, "fenceline_controller_acting 1"} {
		if !strings.Contains(page, told+"\n") {
			t.Errorf("%s is not told:\n%s", told, page)
		}
	}
	ended(true)
	if page := scrape(t, r); strings.Contains(page, "fenceline_fleet_members") || !strings.Contains(page, `fenceline_controller_leases_total{outcome="lost"} 1`) {
		t.Errorf("without its lease it tells\n%s", page)
	}
}

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestNothingIsFree: without a registry every call does nothing.
func TestNothingIsFree(t *testing.T) {
	var r *Registry
	p, b, c, d, s, n := r.Producer(), r.Builder(), r.Controller(), r.Distributor(), r.Statuses(), r.NATS("x")["x"]
	r.Sinks().Sent("x", "x")
	r.Sinks().Waiting("x", 1, 1, true)
	r.Sinks().Forget()
	n.Answered(1)
	n.Failed("x")
	p.Sources([]string{"x"})
	p.Came("x", Accepted)
	p.Stored("x", "x", true, 1)
	p.NotStored("x", "x")
	p.Loaded(true)
	p.File(nil)
	b.Works(1, nil)
	b.Taken()("x")
	b.Waited(1)
	b.Ended("x", "x", "x")
	b.Step("x", 1)
	b.Pushed(1)
	c.Acts()(true)
	c.Fleet("x")
	c.Passed(1)
	c.Decided(1)
	c.Flipped("x")
	c.RolledBack("x", true)
	c.Held("x", true)
	c.FlippedAfter("x", 1)
	c.LastNodeAfter("x", 1)
	c.Fence("x", "x", "x", 1)
	c.Fleets(nil)
	c.Storage(Storage{})
	d.Pulled("x", "x", 1, 1)
	d.Tried("x")
	d.Applied("x")
	d.Beat(true)
	d.Node(nil)
	s.Told("x", "x")
}
