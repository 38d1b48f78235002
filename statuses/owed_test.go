package statuses

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/statuses/target"
)

// TestADeadForgeHoldsUpNoOther: far more hints are of a forge that is away than a consumer may have out. Another forge is told all the same;
// the one that was away is told all once it is back, also by a worker that began meanwhile.
func TestADeadForgeHoldsUpNoOther(t *testing.T) {
	_, as := installation(t)
	dead, live := newStandIn(t), newStandIn(t)
	away := func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	dead.answers(away)
	const out, commits = 20, 150
	js := queuetest.JetStream(t, as("admin"))
	stream := as("admin").Space().RequestsStream()
	c, err := js.Consumer(within(t), stream, queue.Durable(store.Statuses, messages.TypeBuildRequested))
	must(t, err)
	few := c.CachedInfo().Config
	few.MaxAckPending = out
	_, err = js.UpdateConsumer(within(t), stream, few)
	must(t, err)
	both := func(c *Config) {
		c.Targets = append(c.Targets, filled(t, target.Target{Pipeline: "other", Forge: target.Gitea, URL: live.URL, TokenFile: tokenFile(t, testToken)}))
	}
	stop := work(t, as("statuses"), giteaTarget(t, dead), both)
	producer := as("producer")
	for n := range commits {
		buildstest.Submit(t, producer, buildstest.Request("base", n+1))
	}
	buildstest.Submit(t, producer, buildstest.Request("other", 1))
	live.last(t, buildstest.Commit(1), "pending queued")
	settled(t, as("admin"))
	owed := func() int {
		all, err := store.ForgeOwed(as("operator")).List(within(t))
		must(t, err)
		return len(all)
	}
	if n := owed(); n < commits-out || n > commits {
		t.Errorf("%d of %d commits are written down", n, commits)
	}
	stop()
	work(t, as("statuses"), giteaTarget(t, dead), both, func(c *Config) { c.Name += "-next" })
	dead.answers(nil)
	for n := range commits {
		dead.last(t, buildstest.Commit(n+1), "pending queued")
	}
	eventually(t, "nothing is owed", func() bool { return owed() == 0 })
}

// TestWhatIsOwedIsTheNewest: a build that was asked for later is not forgotten for an earlier one of the same commit.
func TestWhatIsOwedIsTheNewest(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	w, err := New(Config{Queue: as("statuses"), Name: "w", Targets: []target.Target{giteaTarget(t, forge)}})
	must(t, err)
	f := w.routes["base"].forge
	seen := func(build string, request uint64) *view {
		return w.view("base", build, buildstest.Commit(1), "refs/heads/main", request, Status{Building, "building"})
	}
	owe := func(build string, request uint64) uint64 {
		v, a := seen(build, request), about{pipeline: "base", build: build}
		revision, err := w.owe(within(t), v, a)
		must(t, err)
		f.add(v.key(), a, 1, v.request, revision)
		return revision
	}
	first := owe("base-new", 7)
	it, a, version, _ := f.next()
	if a.build != "base-new" {
		t.Fatalf("it tells of %+v", a)
	}
	second := owe("base-old", 3)
	if second == first {
		t.Error("the record was not written again")
	}
	f.done(t.Context(), turn{it, version}) // of what was told before the second was added
	all, err := store.ForgeOwed(w.Queue).List(within(t))
	must(t, err)
	if len(all) != 1 || all[0].Value.Build != "base-new" {
		t.Errorf("owed is %s", fmt.Sprint(all))
	}
	if it, a, version, _ = f.next(); a.build != "base-new" {
		t.Errorf("next is %+v", a)
	}
	f.done(t.Context(), turn{it, version})
	if all, err = store.ForgeOwed(w.Queue).List(within(t)); err != nil || len(all) > 0 {
		t.Errorf("owed is %v, %v", all, err)
	}
}
