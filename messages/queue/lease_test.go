package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestALeaseIsKeptOverAShortAbsenceOfTheServer(t *testing.T) {
	s := queuetest.Start(t)
	c, other := s.Client(t), s.Connect(t)
	held, finish := make(chan struct{}), make(chan struct{})
	enough := errors.New("enough")
	ended := make(chan error, 1)
	go func() {
		ended <- c.Lease(t.Context(), c.Space().FleetsBucket(), "controllers", "c1", testTime, func(ctx context.Context) error {
			close(held)
			select {
			case <-finish:
				return enough
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	<-held
	s.Restart(t)
	back(t, c, other)
	waited, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := other.Lease(waited, other.Space().FleetsBucket(), "controllers", "c2", testTime, func(context.Context) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another gets the lease, which is held: %v", err)
	}
	close(finish)
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("the lease ended with %v", err)
	}
}

// What a newer version said of the holder before is not said of the next one.
func TestALeaseKeepsNothingOfItsLastHolder(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	bucket := c.Space().FleetsBucket()
	subject := "$KV." + bucket + ".lease.controllers"
	was := messages.Message{Body: []byte(`{"term":"t","beat":7,"at":"the first holder's"}`)}
	if _, err := c.Store(t.Context(), subject, was); err != nil {
		t.Fatal(err)
	}
	err := c.Lease(t.Context(), bucket, "controllers", "second", testTime, func(ctx context.Context) error {
		m, err := c.Last(ctx, "KV_"+bucket, subject)
		if err == nil && (!strings.Contains(string(m.Message.Body), "second") || strings.Contains(string(m.Message.Body), "first holder")) {
			err = errors.New("its record is " + string(m.Message.Body))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// leaseTTL leaves the third of it between a lease's end and its next holder, in which the first has to notice,
// longer than a busy machine pauses.
const leaseTTL = 3 * time.Second

func TestALeaseThatIsLostWithTheServerIsTakenAgain(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := s.Client(t)
	var holders, most atomic.Int32
	held, lost := make(chan struct{}, 99), make(chan error, 99)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, name := range []string{"c1", "c2"} {
		client := s.Connect(t)
		all.Go(func() {
			_ = client.Lease(ctx, client.Space().FleetsBucket(), "controllers", name, leaseTTL, func(ctx context.Context) error {
				most.Store(max(most.Load(), holders.Add(1)))
				defer holders.Add(-1)
				held <- struct{}{}
				<-ctx.Done()
				lost <- context.Cause(ctx)
				return context.Cause(ctx)
			})
		})
	}
	<-held
	s.Stop()
	if err := <-lost; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("the lease ended with %v", err)
	}
	s.Resume(t)
	back(t, c)
	<-held
	stop()
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held the lease at one time", most.Load())
	}
}

// Nobody had it since, so that its last holder need not wait as others do.
func TestALeaseThatIsLostWithTheServerIsTakenAtOnceByItsLastHolder(t *testing.T) {
	t.Parallel()
	const ttl = 12 * time.Second
	s := queuetest.Start(t)
	c := s.Client(t)
	held, lost := make(chan struct{}, 9), make(chan struct{}, 9)
	go func() {
		_ = c.Lease(t.Context(), c.Space().FleetsBucket(), "controllers", "c1", ttl, func(ctx context.Context) error {
			held <- struct{}{}
			<-ctx.Done()
			lost <- struct{}{}
			return context.Cause(ctx)
		})
	}()
	<-held
	s.Stop()
	<-lost
	s.Resume(t)
	back(t, c)
	since := time.Now()
	<-held
	if took := time.Since(since); took > ttl*2/3 {
		t.Errorf("it was taken again after %s", took)
	}
}

func TestTheLeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	const ttl = leaseTTL
	s := queuetest.Start(t)
	s.Client(t)
	p := s.Proxy(t)
	first, second := s.Connect(t, through(p)), s.Connect(t)
	held, lost := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		_ = first.Lease(ctx, first.Space().FleetsBucket(), "production", "c1", ttl, func(ctx context.Context) error {
			select {
			case <-held:
				return nil
			default:
			}
			close(held)
			<-ctx.Done()
			if err := context.Cause(ctx); !errors.Is(err, queue.ErrLeaseLost) {
				t.Errorf("the lease ended with %v", err)
			}
			close(lost)
			return ctx.Err()
		})
	}()
	<-held
	p.Hold()
	reason := errors.New("enough")
	err := second.Lease(within(t), second.Space().FleetsBucket(), "production", "c2", ttl, func(context.Context) error {
		select {
		case <-lost:
		default:
			t.Error("two hold the lease")
		}
		return reason
	})
	if !errors.Is(err, reason) {
		t.Errorf("the second ended with %v", err)
	}
	stop()
	p.Release()
}

func TestAGivenUpLeaseIsTakenAtOnce(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), testTime)
		must(t, c.Lease(ctx, c.Space().FleetsBucket(), "production", "c1", time.Hour, func(context.Context) error { return nil }))
		cancel()
	}
}
