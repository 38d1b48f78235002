package compose

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// push pushes a commit, sends its webhook until it is accepted, as a forge does or somebody on
// its page, and returns the build.
func (s *shape) push(t *testing.T, files map[string]string) string {
	t.Helper()
	commit := s.commit(t, files)
	var id string
	await(t, "an accepted webhook", func(ctx context.Context) (err error) {
		id, err = s.accepted(ctx, commit)
		return err
	})
	return id
}

// commit pushes a commit that nobody is told of.
func (s *shape) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	commit, err := s.commits(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func (s *shape) commits(ctx context.Context, files map[string]string) (string, error) {
	if err := s.repo.Write(files); err != nil {
		return "", err
	}
	commit, err := s.repo.Commit(ctx, "change")
	if err == nil {
		_, err = s.repo.Push(ctx)
	}
	return commit, err
}

// hook sends the webhook of a commit, once.
func (s *shape) hook(ctx context.Context, commit string) (site.Answer, error) {
	a, err := site.PushHook(s.secret, s.repo.URL, "refs/heads/main", commit).Send(ctx, s.producer())
	if err == nil && a.Status < 300 {
		s.ledger.note(commit, a)
	}
	return a, err
}

// accepted is the build of a hook that is answered 202.
func (s *shape) accepted(ctx context.Context, commit string) (string, error) {
	// A producer that stands still is given up on, as a forge does.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	a, err := s.hook(ctx, commit)
	if err == nil && (a.Status != http.StatusAccepted || len(a.Builds) != 1) {
		err = fmt.Errorf("the webhook is answered with %+v", a)
	}
	if err != nil {
		return "", err
	}
	return a.Builds[0].Build, nil
}

// load pushes again and again, until it is ended, and reads what is written down meanwhile.
type load struct {
	end  context.CancelFunc
	wait sync.WaitGroup
	last string          // build
	took []time.Duration // by each until its webhook was accepted
	err  error
}

// push every so often what files returns.
func (s *shape) load(ctx context.Context, every time.Duration, files func() map[string]string) *load {
	ctx, end := context.WithCancel(ctx)
	l := &load{end: end}
	l.wait.Go(func() { l.err = s.pushes(ctx, l, every, files) })
	l.wait.Go(func() {
		for ctx.Err() == nil { // that NATS is gone now is no reason to end
			_ = s.records.update(ctx)
			pause(ctx, every)
		}
	})
	return l
}

func (s *shape) pushes(ctx context.Context, l *load, every time.Duration, files func() map[string]string) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		// A push under way is not given up when the load ends.
		all := context.WithoutCancel(ctx)
		commit, err := s.commits(all, files())
		if err != nil {
			return err
		}
		begun := time.Now()
		bounded, cancel := context.WithTimeout(all, patience)
		err = site.Until(bounded, func(ctx context.Context) (err error) {
			l.last, err = s.accepted(ctx, commit)
			return err
		})
		cancel()
		if err != nil {
			return fmt.Errorf("pushing %s: %w", commit, err)
		}
		l.took = append(l.took, time.Since(begun).Round(time.Millisecond))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ended ends the load, and returns its last build.
func (l *load) ended(t *testing.T) (last string) {
	t.Helper()
	l.end()
	l.wait.Wait()
	if l.err != nil {
		t.Fatal(l.err)
	}
	t.Logf("%d pushes; until each was accepted: %v", len(l.took), l.took)
	return l.last
}
