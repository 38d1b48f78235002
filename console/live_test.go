package console

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestAChangeOfANodeIsACellInItsPlace(t *testing.T) {
	s := newSite(t)
	s.it.instance = "a-b" // a key can have a hyphen
	s.fleet(t, "production", 300)
	vera := s.as(t, "vera")
	page := vera.until(t, "/fleets/production", "all nodes are there and were heard", says("</span> 300 present</a>"))
	events := vera.listen(t, streamOf(t, page))
	await(t, events, `id="head"`)
	s.node(t, "production", "node-00123", func(n *messages.NodeStatus) { n.Engine.Error = "gone" })
	e := await(t, events, "n-node-00123")
	if strings.Count(e, `<a id="n-`) != 1 || !strings.Contains(e, `class="behind"`) || !strings.Contains(e, "1 behind") {
		t.Errorf("the event is\n%s", e)
	}
	if len(e) > 4<<10 {
		t.Errorf("it has %d bytes", len(e))
	}
	s.node(t, "production", "node-00999", nil)
	await(t, events, "There is more or other")
	// A browser that comes again gets what it has missed, and nothing else.
	last := strings.TrimPrefix(strings.SplitN(e, "\n", 2)[0], "id: ")
	s.node(t, "production", "node-00124", func(n *messages.NodeStatus) { n.Engine.Error = "gone" })
	again := await(t, vera.listen(t, strings.Replace(streamOf(t, page), "since=", "was=", 1)+"&since="+last), "n-node-00124")
	if strings.Contains(again, "n-node-00125") {
		t.Errorf("it gets more than it has missed:\n%s", again)
	}
	// One of an earlier process gets all, in pieces of which only the last says that it was all.
	cells, at := 0, fromTheStart(streamOf(t, page))
	for events := vera.listen(t, at); cells < 301; {
		e := await(t, events, `<a id="n-`)
		if len(e) > 2*eventMost {
			t.Errorf("an event has %d bytes", len(e))
		}
		cells += strings.Count(e, `<a id="n-`)
		if id, _, _ := strings.Cut(e, "\n"); strings.HasSuffix(id, "-0") == (cells == 301) {
			t.Errorf("after %d of 301 cells the event has %s", cells, id)
		}
	}
}

// TestAFilteredPageSaysThatMoreNodesAreSo: those that it shows stay where they are.
func TestAFilteredPageSaysThatMoreNodesAreSo(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 30)
	gone := func(n *messages.NodeStatus) { n.Engine.Error = "gone" }
	s.node(t, "production", "node-00003", gone)
	vera := s.as(t, "vera")
	page := vera.until(t, "/fleets/production?state=behind", "the one is there", says("1 to 1 of 1 node"))
	events := vera.listen(t, streamOf(t, page))
	await(t, events, `id="head"`)
	s.beat(t, "production", "node-00004", func(n *messages.NodeStatus) { n.Images = n.Images[:1] }) // it lacks an image, and is not behind
	if e := await(t, events, "1 lacking"); strings.Contains(e, "There is more or other") {
		t.Errorf("it speaks of a node that it would not show:\n%s", e)
	}
	s.beat(t, "production", "node-00005", gone)
	await(t, events, "There is more or other")
	// Of many, which fill more pages than one, nothing is kept that could tell.
	many := vera.get(t, "/fleets/production?per=10&state=present")
	events = vera.listen(t, streamOf(t, many))
	await(t, events, `id="head"`)
	s.beat(t, "production", "node-00003", nil)
	if e := await(t, events, "28 present"); strings.Contains(e, "There is more or other") {
		t.Errorf("it speaks of a node of another page:\n%s", e)
	}
}

func TestNATSAwayAndBack(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 2)
	ada := s.as(t, "ada")
	page := ada.until(t, "/", "the fleet is there", says("Present on 2 of 2"))
	events := ada.listen(t, streamOf(t, page))
	form := ada.form(t, "/fleets/production/hold", "freeze")
	s.nats.Stop()
	await(t, events, "NATS can't be reached since")
	if a := ada.get(t, "/"); a.status != http.StatusOK || !strings.Contains(a.body, "NATS can't be reached") || !strings.Contains(a.body, "production") {
		t.Errorf("while it is away: %d\n%s", a.status, a.body)
	}
	if a := ada.post(t, "/fleets/production/hold", form); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "nothing can be decided") {
		t.Errorf("a decision while it is away: %d\n%s", a.status, a.body)
	}
	s.nats.Resume(t)
	await(t, events, `<div id="banner" role="status"></div>`)
	for tick := time.NewTicker(50 * time.Millisecond); s.admin.Ready(t.Context()) != nil; {
		<-tick.C
	}
	queuetest.Must(t, store.Declare(queuetest.Within(t), s.admin, store.Layout{NodeTTL: time.Hour})) // heartbeats are in memory
	s.node(t, "production", "node-00000", func(n *messages.NodeStatus) { n.Engine.Error = "gone" })
	s.node(t, "production", "node-00001", nil)
	await(t, events, "1 behind")
}

// TestABrowserThatNeverReads is dropped, and costs no more than its connection until then. One that reads stays.
func TestABrowserThatNeverReads(t *testing.T) {
	s := newSite(t)
	s.it.patience = time.Second
	s.fleet(t, "production", 200)
	vera := s.as(t, "vera")
	page := vera.until(t, "/fleets/production", "all nodes are there", says("1 to 200 of 200 nodes"))
	reads := vera.listen(t, streamOf(t, page))
	await(t, reads, `id="head"`)
	vera.open(t, fromTheStart(streamOf(t, page)))
	queuetest.Eventually(t, "its stream is open", func() bool { return s.it.viewers.count() == 2 })
	queuetest.Eventually(t, "it is dropped", func() bool { return s.it.viewers.count() == 1 })
	s.beat(t, "production", "node-00199", func(v *messages.NodeStatus) { v.Engine.Error = "gone" })
	await(t, reads, `id="n-node-00199" class="behind"`)
}

func TestAThousandOpenPages(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 100)
	var people []*browser
	for n := range 5 { // one has not so many
		name := fmt.Sprintf("person-%d", n)
		s.let(t, name, tokens.Viewer)
		b := s.as(t, name)
		b.client.Transport = &http.Transport{MaxIdleConns: 10}
		people = append(people, b)
	}
	page := people[0].until(t, "/fleets/production", "all nodes are there", says("1 to 100 of 100 nodes"))
	all := make([]<-chan string, 1000)
	for i := range all {
		all[i] = people[i%len(people)].listen(t, streamOf(t, page))
	}
	s.node(t, "production", "node-00042", func(n *messages.NodeStatus) { n.Engine.Error = "gone" })
	var heard sync.WaitGroup
	for _, events := range all {
		heard.Go(func() {
			for e := range events {
				if strings.Contains(e, `id="n-node-00042" class="behind"`) {
					return
				}
			}
			t.Error("a page was not told")
		})
	}
	heard.Wait()
}

// TestAThousandPagesThatNeverRead of ten thousand nodes, all of which change: what waits for a browser is a piece of them, and who
// doesn't take it in is dropped.
func TestAThousandPagesThatNeverRead(t *testing.T) {
	const nodes, pages, people = 10_000, 1000, 5
	s := newSite(t)
	s.it.patience = time.Hour // until the test says so
	s.fleet(t, "production", 1)
	for n := range nodes {
		name := fmt.Sprintf("node-%05d", n)
		s.it.seen.seeBeat(queue.Entry[messages.NodeStatus]{Key: messages.NodeKey("production", name), Value: status("production", name, nil), Created: time.Now()})
	}
	var all []*browser
	for n := range people { // one has not so many
		name := fmt.Sprintf("person-%d", n)
		s.let(t, name, tokens.Viewer)
		all = append(all, s.as(t, name))
	}
	page := all[0].until(t, "/fleets/production?per=10000", "all nodes are there", says("1 to 10000 of 10000 nodes"))
	at := fromTheStart(streamOf(t, page))
	page.body = ""
	used := func() int64 {
		var m runtime.MemStats
		inUse := heap()
		runtime.ReadMemStats(&m)
		return inUse + int64(m.StackInuse)
	}
	before := used()
	for n := range pages {
		all[n%people].open(t, at)
	}
	queuetest.Eventually(t, "all are open", func() bool { return s.it.viewers.count() == pages })
	if each := (used() - before) / pages; each > 100<<10 { // both ends of its connection included
		t.Errorf("a page takes %d bytes", each)
	}
	s.held.Range(func(c, _ any) bool { // as if all had had their time
		_ = c.(net.Conn).SetWriteDeadline(time.Now())
		return true
	})
	queuetest.Eventually(t, "all are dropped", func() bool { return s.it.viewers.count() == 0 })
}

func TestASessionThatEndsEndsItsPages(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	vera := s.as(t, "vera")
	page := vera.until(t, "/", "the fleet is there", says("production"))
	events := vera.listen(t, streamOf(t, page))
	await(t, events, "f-production")
	if a := vera.post(t, "/sign-out", nil); a.status != http.StatusSeeOther {
		t.Errorf("signing out: %d", a.status)
	}
	s.node(t, "production", "node-00000", func(n *messages.NodeStatus) { n.Engine.Error = "gone" })
	await(t, events, "event: over")
}
