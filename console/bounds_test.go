package console

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestOneViewerTakesNotAllPlaces: their oldest page makes way, and is told so. Those of others go on.
func TestOneViewerTakesNotAllPlaces(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	vera, ada := s.as(t, "vera"), s.as(t, "ada")
	page := vera.until(t, "/", "the fleet is there", says("production"))
	others := ada.listen(t, streamOf(t, page))
	await(t, others, "f-production")
	oldest := vera.listen(t, streamOf(t, page))
	await(t, oldest, "f-production")
	again := s.as(t, "vera") // another session is no other person
	for range maxStreamsEach {
		again.listen(t, streamOf(t, page))
	}
	await(t, oldest, "event: paused")
	queuetest.Eventually(t, "the oldest is gone", func() bool { return s.it.viewers.count() == maxStreamsEach+1 })
	s.node(t, "production", "node-00000", nil)
	s.beat(t, "production", "node-00001", nil)
	await(t, others, "f-production")
}

func TestPlacesOfViewers(t *testing.T) {
	var v viewers
	var mine []*place
	for range 2 * maxStreamsEach { // of which the older ones have to go, and don't
		p := v.enter("ada")
		if p == nil {
			t.Fatal("there is no place")
		}
		mine = append(mine, p)
	}
	if v.enter("ada") != nil {
		t.Error("whose pages don't go gets more places")
	}
	for i, p := range mine {
		select {
		case <-p.gone:
			if i >= maxStreamsEach {
				t.Errorf("page %d is told to go", i)
			}
		default:
			if i < maxStreamsEach {
				t.Errorf("page %d is not told to go", i)
			}
		}
	}
	for n := 0; v.count() < maxStreams; n++ {
		if v.enter(fmt.Sprint(n)) == nil {
			t.Fatalf("person %d has no place", n)
		}
	}
	if v.enter("bob") != nil {
		t.Error("there are more places than there may be")
	}
	for _, p := range mine {
		v.leave(p)
	}
	if v.count() != maxStreams-len(mine) || v.of["ada"] != nil || v.enter("bob") == nil {
		t.Errorf("%d are open afterwards", v.count())
	}
}

// TestLargePagesAreMadeFewAtATime: more of them wait, and are then refused in words. Who asks for many keeps no others waiting.
func TestLargePagesAreMadeFewAtATime(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 3)
	vera := s.as(t, "vera")
	vera.until(t, "/fleets/production", "all nodes are there", says("1 to 3 of 3 nodes"))
	ctx := queuetest.Within(t)
	var free []func()
	for n := range cellsAtOnce / maxPerPage {
		made, sent, ok := s.it.makers.begin(ctx, fmt.Sprint(n), maxPerPage)
		if !ok {
			t.Fatalf("page %d is not made", n)
		}
		free = append(free, made, sent)
	}
	a := vera.get(t, "/fleets/production")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "Too many large pages are being made") {
		t.Errorf("one more: %d %v\n%s", a.status, a.header, a.body)
	}
	answered := make(chan answer, 1)
	go func() { answered <- vera.get(t, "/fleets/production") }()
	queuetest.Eventually(t, "it waits", func() bool {
		s.it.makers.mu.Lock()
		defer s.it.makers.mu.Unlock()
		return s.it.makers.of["vera"] != nil
	})
	for _, f := range free {
		f()
	}
	if a := <-answered; a.status != http.StatusOK {
		t.Errorf("after the others: %d", a.status)
	}
	// Who has as many under way as one may waits for those, and nobody else does.
	for range cellsEach / maxPerPage {
		made, sent, ok := s.it.makers.begin(ctx, "ada", maxPerPage)
		if !ok {
			t.Fatal("her own is not made")
		}
		made()
		defer sent()
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, ok := s.it.makers.begin(ended, "ada", 1); ok {
		t.Error("she has more under way than one may")
	}
	if a := vera.get(t, "/fleets/production"); a.status != http.StatusOK {
		t.Errorf("another person waits for her: %d", a.status)
	}
}

// TestOnePersonsSessionsTakeNoOthersPlaces: their oldest makes way.
func TestOnePersonsSessionsTakeNoOthersPlaces(t *testing.T) {
	s := newSite(t)
	ada, first := s.as(t, "ada"), s.as(t, "")
	begin := func(b *browser) { // sign-ins are bounded by address
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.http.URL, nil)
		queuetest.Must(t, err)
		w := &cookies{h: http.Header{}}
		s.it.sessions.begin(w, r, Person{Name: "vera", Role: tokens.Viewer})
		b.client.Jar.SetCookies(r.URL, (&http.Response{Header: w.h}).Cookies())
	}
	begin(first)
	if a := first.get(t, "/"); a.status != http.StatusOK {
		t.Fatalf("signed in: %d", a.status)
	}
	for range maxSessionsEach {
		begin(s.as(t, ""))
	}
	if a := first.get(t, "/"); a.status != http.StatusSeeOther {
		t.Errorf("the oldest session goes on: %d", a.status)
	}
	if a := ada.get(t, "/"); a.status != http.StatusOK {
		t.Errorf("another person's session has ended: %d", a.status)
	}
}

type cookies struct{ h http.Header }

func (c *cookies) Header() http.Header         { return c.h }
func (c *cookies) Write(b []byte) (int, error) { return len(b), nil }
func (c *cookies) WriteHeader(int)             {}

// TestARevokedPersonsPagesEnd within seconds, though nothing changes on them.
func TestARevokedPersonsPagesEnd(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	vera := s.as(t, "vera")
	page := vera.until(t, "/", "the fleet is there", says("production"))
	events := vera.listen(t, streamOf(t, page))
	await(t, events, "f-production")
	queuetest.Must(t, tokens.Revoke(s.file, "vera"))
	await(t, events, "event: over")
	if a := vera.get(t, "/"); a.status != http.StatusSeeOther {
		t.Errorf("a page of theirs: %d", a.status)
	}
}

// TestOpenPagesCostLittle: a page of many nodes that is open holds none of them by itself, and one that is sent is not kept.
func TestOpenPagesCostLittle(t *testing.T) {
	const nodes, pages = 2000, 150
	s := newSite(t)
	s.fleet(t, "production", nodes)
	vera := s.as(t, "vera")
	page := vera.until(t, "/fleets/production", "all nodes are there", says(fmt.Sprintf("1 to %d of %d nodes", nodes, nodes)))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range pages {
		events := vera.listen(t, streamOf(t, page))
		await(t, events, `id="head"`)
	}
	// Both ends of each connection are in this process, with their buffers.
	if each := int64(heap()-before) / pages; each > 256<<10 {
		t.Errorf("an open page takes %d bytes", each)
	}
}

// TestOneViewerFollowsNotAllLogs: who has many builds open keeps no others from theirs.
func TestOneViewerFollowsNotAllLogs(t *testing.T) {
	s := newSite(t)
	vera, ada := s.as(t, "vera"), s.as(t, "ada")
	var open []string
	for n := range followsEach + 2 {
		open = append(open, "/builds/"+s.ended(t, n, messages.BuildStateFailed, nil))
	}
	last, before := open[followsEach+1], open[:followsEach]
	for _, path := range before {
		await(t, vera.listen(t, path+"/events"), `id="build"`)
	}
	if a := vera.get(t, last); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "close some") {
		t.Errorf("one more: %d\n%s", a.status, a.body)
	}
	if a := vera.get(t, before[0]); a.status != http.StatusOK {
		t.Errorf("one that she has open: %d", a.status)
	}
	if a := ada.get(t, last); a.status != http.StatusOK {
		t.Errorf("another person's: %d", a.status)
	}
}
