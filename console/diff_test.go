package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/imagediff"
	"github.com/fenceline/fenceline/imagediff/packagedb"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// fakeComparer notes what it is asked for, and answers as it is told.
type fakeComparer struct {
	mu     sync.Mutex
	asked  []string
	answer func(ctx context.Context, from, to imagediff.Wanted) (*imagediff.Diff, error)
}

// Compare takes a question.
func (f *fakeComparer) Compare(ctx context.Context, from, to imagediff.Wanted, _ string) (*imagediff.Diff, error) {
	f.mu.Lock()
	f.asked = append(f.asked, from.Ref+" "+to.Ref)
	f.mu.Unlock()
	return f.answer(ctx, from, to)
}

// was are the questions so far.
func (f *fakeComparer) was() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// hostileDiff has what strangers write in every place.
func hostileDiff(from, to imagediff.Wanted) *imagediff.Diff {
	p := packagedb.Package{Name: hostile, Version: hostile, Arch: hostile}
	d := &imagediff.Diff{
		From: imagediff.Image{Image: messages.Image(from.Ref), Platform: hostile, Layers: 2}, To: imagediff.Image{Image: messages.Image(to.Ref), Platform: hostile},
		Differs: true, Settings: []imagediff.Setting{{Name: "env", Key: hostile, From: new(hostile), To: new(hostile)}}, Unknown: []string{hostile},
		Hooks:  []imagediff.Hook{{Path: "/" + hostile, Change: "changed", Mode: "0755 to 0644", Diff: "@@ -1 +1 @@\n-" + hostile + "\n+" + hostile + "\n", More: 3}},
		Layers: []imagediff.Layer{{Of: imagediff.OfBoth, Bytes: 1e6}, {Of: imagediff.OfFrom, Bytes: 1e3, By: hostile}, {Of: imagediff.OfTo, Bytes: 2e3, By: "RUN x"}},
	}
	d.Packages.Changed = []imagediff.Change{{Manager: "dpkg", Name: hostile, From: []packagedb.Package{p}, To: []packagedb.Package{{Version: "2"}}}}
	d.Packages.Removed = []imagediff.Package{{Manager: "dpkg", Package: p}}
	for n := range diffShown + 7 {
		d.Packages.Added = append(d.Packages.Added, imagediff.Package{Manager: "dpkg", Package: packagedb.Package{Name: fmt.Sprintf("new-%d", n), Version: "1"}})
	}
	return d
}

// built writes a build's record that announces an image.
func (s *site) built(t *testing.T, n int) string {
	t.Helper()
	ref := messages.BuildRef{Build: fmt.Sprintf("base-%d", n), Pipeline: "base", Order: uint64(n)}
	made, err := messages.Encode(messages.Envelope{ID: ref.Build, Source: "/x", Subject: ref.Build}, &messages.ImageReady{BuildRef: ref, Image: imageOf(n), Tag: "t", HooksDir: "/h"})
	queuetest.Must(t, err)
	_, err = store.Builds(s.admin).Create(queuetest.Within(t), ref.Build, messages.BuildRecord{BuildRef: ref, State: messages.BuildStateSucceeded, Image: imageOf(n), Outcome: &made})
	queuetest.Must(t, err)
	return ref.Build
}

func TestImagesAreCompared(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	id := s.moving(t, "production", messages.RolloutApproval, func(r *messages.RolloutRecord) { r.Policy.Approval = true })
	s.built(t, 1)
	s.built(t, 2)
	by := &fakeComparer{answer: func(_ context.Context, from, to imagediff.Wanted) (*imagediff.Diff, error) {
		return hostileDiff(from, to), nil
	}}
	s.it.diffs.by = by
	vera := s.as(t, "vera")
	for _, page := range []string{"/diff?b=base-2", "/diff?a=" + imageOf(1).Digest() + "&b=" + imageOf(2).Digest(), "/diff?a=base-1&b=" + string(imageOf(2))} {
		a := vera.get(t, page)
		if a.status != http.StatusOK || !strings.Contains(a.body, "1 changed, 507 added, 1 removed") || !strings.Contains(a.body, "7 more") || !strings.Contains(a.body, "mode 0755 to 0644") ||
			!strings.Contains(a.body, "1 in both, 1.0 MB") || !strings.Contains(a.body, "RUN x") || !strings.Contains(a.body, "alert(1)") {
			t.Fatalf("%s: %d %s", page, a.status, a.body)
		}
		for _, bad := range []string{"<script>alert", "<img", "\x1b", "\x07", `"'&`} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s has %q as it was sent", page, bad)
			}
		}
	}
	if was := by.was(); len(was) != 1 || was[0] != string(imageOf(1))+" "+string(imageOf(2)) {
		t.Errorf("it was asked for %q: the same two are compared once", was)
	}
	if a := vera.get(t, "/diff?b=production"); !strings.Contains(a.body, "previous in fleet production") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := vera.get(t, "/diff"); a.status != http.StatusOK || !strings.Contains(a.body, `name="b"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	for page, link := range map[string]string{
		"/rollouts/" + id: `href="/diff?b=base-3"`, "/rollouts/" + id + "/approve": `href="/diff?a=` + strings.Replace(imageOf(2).Digest()+"&amp;b="+imageOf(3).Digest(), ":", "%3a", 2) + `"`,
	} {
		if a := s.as(t, "ada").get(t, page); !strings.Contains(a.body, link) {
			t.Errorf("%s has no link %s: %s", page, link, a.body)
		}
	}
}

// TestOnlyImagesOfTheRecordsAreCompared: nobody has the console ask a host that they name.
func TestOnlyImagesOfTheRecordsAreCompared(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	by := &fakeComparer{answer: func(context.Context, imagediff.Wanted, imagediff.Wanted) (*imagediff.Diff, error) {
		return nil, errors.New("it was asked")
	}}
	s.it.diffs.by = by
	ada := s.as(t, "ada")
	for _, word := range []string{
		"169.254.169.254/a:b", "evil.example.com/a@" + imageOf(7).Digest(), "localhost:1/a", "http://localhost/", imageOf(9).Digest(), "<script>alert(1)", strings.Repeat("x", 5000),
	} {
		for _, page := range []string{"/diff?b=" + word, "/diff?b=production&a=" + word} {
			if a := ada.get(t, page); a.status != http.StatusNotFound || strings.Contains(a.body, "<script>alert") || len(a.body) > 20_000 {
				t.Errorf("%s: %d", page, a.status)
			}
		}
	}
	// The host that stands before a digest of the records is not asked: the records' own is.
	_ = ada.get(t, "/diff?b=production&a=evil.example.com/a@"+imageOf(1).Digest())
	if was := by.was(); len(was) != 1 || strings.Contains(was[0], "evil") {
		t.Errorf("it was asked for %q", was)
	}
	if a := s.as(t, "").get(t, "/diff?b=production"); a.status != http.StatusSeeOther {
		t.Errorf("a stranger is answered %d", a.status)
	}
}

func TestARegistryThatFailsIsToldOf(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	for says, by := range map[string]Comparer{
		"wants another login (docker-config)": &fakeComparer{answer: func(context.Context, imagediff.Wanted, imagediff.Wanted) (*imagediff.Diff, error) {
			return nil, errors.New("registry r wants another login (docker-config)\x1b[2J")
		}},
		"this console compares no images": nil,
	} {
		s.it.diffs.by = by
		if a := s.as(t, "ada").get(t, "/diff?b=production"); a.status != http.StatusBadGateway || !strings.Contains(a.body, says) || strings.Contains(a.body, "\x1b") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestAFewComparisonsAtOnce: others wait for their turn, and one whose browser leaves gives its own up.
func TestAFewComparisonsAtOnce(t *testing.T) {
	begun := make(chan string, 10)
	by := &fakeComparer{answer: func(ctx context.Context, from, _ imagediff.Wanted) (*imagediff.Diff, error) {
		begun <- from.Ref
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	d := newDiffs(by)
	ended := make(chan error, 10)
	ask := func(n int) (leave context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := d.get(ctx, fmt.Sprint(n), diffOf{imagediff.Wanted{Ref: fmt.Sprint(n)}, imagediff.Wanted{Ref: "b"}})
			ended <- err
		}()
		return cancel
	}
	first, second := ask(1), ask(2)
	<-begun
	<-begun
	third := ask(3)
	fourth := ask(4)
	fourth() // while it waits
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(begun) > 0 {
		t.Errorf("%d are made at one time", diffsAtOnce+1)
	}
	first()
	<-ended
	if from := <-begun; from != "3" {
		t.Errorf("%q has its turn", from)
	}
	second()
	third()
	<-ended
	<-ended
	by.answer = func(context.Context, imagediff.Wanted, imagediff.Wanted) (*imagediff.Diff, error) {
		return &imagediff.Diff{}, nil
	}
	for n := range 3 * diffsKept {
		if _, err := d.get(t.Context(), "vera", diffOf{imagediff.Wanted{Ref: fmt.Sprint(n)}, imagediff.Wanted{}}); err != nil {
			t.Error(err)
		}
	}
	if len(d.kept) != diffsKept || len(d.order) != diffsKept {
		t.Errorf("%d are kept", len(d.kept))
	}
}

// TestOnePersonsComparisonsKeepNobodyWaiting: they are made one by one.
func TestOnePersonsComparisonsKeepNobodyWaiting(t *testing.T) {
	begun := make(chan string, 20)
	d := newDiffs(&fakeComparer{answer: func(ctx context.Context, from, _ imagediff.Wanted) (*imagediff.Diff, error) {
		begun <- from.Ref
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	ask := func(person, ref string) {
		asking.Go(func() { _, _ = d.get(ctx, person, diffOf{imagediff.Wanted{Ref: ref}, imagediff.Wanted{}}) })
	}
	for range 10 {
		ask("mallory", "hers")
	}
	queuetest.Eventually(t, "all are asked for", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.own["mallory"] != nil && d.own["mallory"].wants == 10
	})
	<-begun
	ask("vera", "another's")
	if from := <-begun; from != "another's" {
		t.Errorf("%s is made, and another person waits", from)
	}
	cancel()
	asking.Wait()
	if len(d.own) > 0 {
		t.Errorf("%d people are remembered", len(d.own))
	}
}

// TestImagesAreReadForOnePageAtATime: with many builds their records take much room.
func TestImagesAreReadForOnePageAtATime(t *testing.T) {
	s := newSite(t)
	s.it.diffs.reading <- struct{}{}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if status, err := s.it.compare(ended, "vera", &diffView{A: "a", B: "b"}); status != http.StatusServiceUnavailable || !errors.Is(err, errBusyReading) {
		t.Errorf("while another reads: %d, %v", status, err)
	}
	<-s.it.diffs.reading
	if status, err := s.it.compare(queuetest.Within(t), "vera", &diffView{A: "a", B: "b"}); status != http.StatusNotFound {
		t.Errorf("after it: %d, %v", status, err)
	}
}
