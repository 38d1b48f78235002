package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/demo/site"
)

// keepPushing pushes again and again until stop is called, and tells both producers of each
// push at one time, as a forge does that sends again. One of them may be gone.
func (u *upgrade) keepPushing(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	repo := u.repos["rolling"]
	go func() {
		defer close(failed)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			if err := u.pushToBoth(t.Context(), repo, fmt.Sprint("steady-", n)); err != nil {
				failed <- err
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() {
		cancel()
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func (u *upgrade) pushToBoth(ctx context.Context, repo *site.Repository, text string) error {
	err := repo.Write(exporting(text))
	var commit string
	if err == nil {
		commit, err = repo.Commit(ctx, text)
	}
	if err == nil {
		_, err = repo.Push(ctx)
	}
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	builds, errs := make([]string, 2), make([]error, 2)
	for i, address := range []string{u.http, u.next} {
		all.Go(func() { builds[i], errs[i] = u.tell(ctx, address, "rolling", commit) })
	}
	all.Wait()
	switch {
	case errs[0] != nil && errs[1] != nil:
		return errors.Join(errs...)
	case errs[0] == nil && errs[1] == nil && builds[0] != builds[1]:
		return fmt.Errorf("one push was accepted as %s and as %s", builds[0], builds[1])
	}
	return nil
}

// ends sees that each accepted build has one end and no other, that only builders who can read
// its request had it, that nothing was given up, and that the fleet has the newest image.
func (u *upgrade) ends(t *testing.T) {
	t.Helper()
	all := map[string]bool{}
	for id := range u.accepted {
		all[id] = true
		if b := u.ended(t, id); b.State != "succeeded" && b.State != "superseded" {
			t.Errorf("accepted build %s ended as %+v", id, b)
		}
	}
	u.exactly(t, all)
	for id, n := range u.endings(t) {
		if n != 1 || !all[id] {
			t.Errorf("build %s has %d ends; accepted: %t", id, n, all[id])
		}
		delete(all, id)
	}
	for id := range all {
		t.Errorf("accepted build %s has no end", id)
	}
	if letters := u.must(t, "dead-letters", "list", "-o", "json"); strings.TrimSpace(letters) != "[]" {
		t.Errorf("there are dead letters: %s", letters)
	}
}

// endings counts the events that end builds, of whichever versions, and looks at who began them.
func (u *upgrade) endings(t *testing.T) map[string]int {
	t.Helper()
	ends := map[string]int{}
	read := func(kind string, each func(subject string, body []byte)) {
		t.Helper()
		u.eachEvent(t, "fenceline.build."+kind+".*.>", each)
	}
	end := func(subject string, _ []byte) { ends[subject[strings.LastIndexByte(subject, '.')+1:]]++ }
	for _, kind := range []string{"failed", "superseded", "cancelled"} {
		read(kind, end)
	}
	versions := map[string]int{}
	u.eachEvent(t, "fenceline.image.ready.*.>", func(subject string, body []byte) {
		end(subject, body)
		versions[strings.Split(subject, ".")[3]]++
	})
	if versions["v1"] == 0 || versions["v2"] == 0 {
		t.Errorf("images were announced in these versions: %v", versions)
	}
	read("started", func(_ string, body []byte) {
		var s struct{ Build, Worker string }
		if err := json.Unmarshal(body, &s); err != nil {
			t.Error(err)
		}
		if u.accepted[s.Build] == u.next && s.Worker != "builder-new" {
			t.Errorf("build %s, of a newer request, was begun by %s", s.Build, s.Worker)
		}
	})
	return ends
}

// eachEvent reads the events on some subjects.
func (a *apart) eachEvent(t *testing.T, filter string, each func(subject string, body []byte)) {
	t.Helper()
	c, err := nats.Connect(a.url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "fenceline-events")
	if err != nil {
		t.Fatal(err)
	}
	for next := uint64(1); ; {
		m, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		each(m.Subject, m.Data)
		next = m.Sequence + 1
	}
}
