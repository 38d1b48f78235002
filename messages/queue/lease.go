package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// leaseRecord is a lease as it is kept. It has no times in it: whoever wants the lease
// waits, by its own clock, until the record has not moved for the lease's length.
type leaseRecord struct {
	Holder string `json:"holder,omitempty"` // "" once it was given up
	Term   string `json:"term"`             // random for each time it is taken
	Beat   uint64 `json:"beat"`
}

// Lease waits for the named lease, which is kept in a bucket, and runs run while it is held, again
// after it was lost. The context of run ends, with cause ErrLeaseLost, before anybody else can take the lease;
// ttl is how long others wait for a silent holder. Its last holder takes it again at once, as after
// an absence of the server, where nobody had it since. It returns what run returned while the
// lease was held, or ctx's cause, and gives the lease up.
func (c *Client) Lease(ctx context.Context, bucket, name, holder string, ttl time.Duration, run func(ctx context.Context) error) error {
	records := NewRecords[leaseRecord](c, bucket, "lease.*")
	records.fields = false // what one holder said of itself is not the next one's
	key := "lease." + name
	for last := ""; ; {
		l, err := c.takeLease(ctx, records, key, leaseRecord{Holder: holder, Term: last}, ttl)
		if err != nil {
			return fmt.Errorf("waiting for lease %s: %w", name, err)
		}
		c.log.Info().Str("lease", name).Msg("lease taken")
		err = l.hold(ctx, run)
		if !errors.Is(err, ErrLeaseLost) || ctx.Err() != nil {
			l.giveUp()
			return err
		}
		c.log.Warn().Str("lease", name).Msg("lease lost")
		last = l.record.Term
	}
}

// held is a lease that this client has, until the deadline.
type held struct {
	c        *Client
	records  *Records[leaseRecord]
	key      string
	record   leaseRecord
	revision uint64
	ttl      time.Duration
	deadline time.Time // by the monotonic clock
}

// until is how long a lease is good for after the renewal that was sent then. The rest of
// the ttl is for what is on its way and for clocks that run at different speeds.
func until(sent time.Time, ttl time.Duration) time.Time { return sent.Add(ttl * 2 / 3) }

// takeLease waits until the lease is free, is still that of the term that was lost last, or its
// record has not moved for ttl.
func (c *Client) takeLease(ctx context.Context, records *Records[leaseRecord], key string, last leaseRecord, ttl time.Duration) (*held, error) {
	var seen Entry[leaseRecord]
	var since time.Time
	told := "" // the last trouble, which is told once
	for {
		e, err := records.Current(ctx, key)
		now := time.Now()
		free := err == nil && (e.Value.Holder == "" || last.Term != "" && e.Value.Term == last.Term) || errors.Is(err, ErrNotFound)
		if err == nil && (e.Revision != seen.Revision || e.Value != seen.Value || since.IsZero()) { // a bucket that is made anew gives revisions again
			seen, since = e, now
		}
		if free || err == nil && now.Sub(since) >= ttl {
			l := &held{c: c, records: records, key: key, ttl: ttl, revision: e.Revision, deadline: until(now, ttl),
				record: leaseRecord{Holder: last.Holder, Term: messages.NewID(), Beat: 1}}
			if l.revision, err = records.put(ctx, key, l.record, e.Revision); err == nil {
				return l, nil
			}
		}
		if errors.Is(err, ErrForbidden) {
			return nil, err
		}
		if err != nil && !errors.Is(err, ErrMoved) {
			since = time.Time{} // not seen is not the same as not moved
			if err.Error() != told {
				told = err.Error()
				c.log.Warn().Err(err).Str("lease", key).Msg("can't take the lease, trying again all the time")
			}
		}
		if !Pause(ctx, ttl/10) {
			return nil, context.Cause(ctx)
		}
	}
}

// hold runs run and renews the lease beside it.
func (l *held) hold(ctx context.Context, run func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if !l.renew(ctx, done) {
			cancel(ErrLeaseLost)
		}
	}()
	err := run(ctx)
	close(done)
	<-stopped
	if errors.Is(context.Cause(ctx), ErrLeaseLost) {
		return ErrLeaseLost
	}
	return err
}

// renew keeps the lease until done is closed. It returns false once the lease is lost.
func (l *held) renew(ctx context.Context, done <-chan struct{}) bool {
	every := time.NewTicker(l.ttl / 6)
	defer every.Stop()
	ctx = context.WithoutCancel(ctx) // held until run has returned, shutdown or not
	for {
		select {
		case <-done:
			return true
		case <-every.C:
		}
		sent := time.Now()
		if !sent.Before(l.deadline) {
			return false
		}
		next := l.record
		next.Beat++
		bounded, cancel := context.WithDeadline(ctx, l.deadline)
		revision, err := l.records.put(bounded, l.key, next, l.revision)
		cancel()
		switch {
		case err == nil:
			l.record, l.revision, l.deadline = next, revision, until(sent, l.ttl)
		case errors.Is(err, ErrMoved) && l.catchUp(ctx, next):
		case errors.Is(err, ErrMoved), !time.Now().Before(l.deadline):
			return false
		default:
			l.c.log.Warn().Err(err).Str("lease", l.key).Msg("lease not renewed, trying again while it lasts")
		}
	}
}

// catchUp recognises an earlier renewal of ours whose answer was lost.
func (l *held) catchUp(ctx context.Context, sent leaseRecord) bool {
	ctx, cancel := context.WithDeadline(ctx, l.deadline)
	defer cancel()
	e, err := l.records.Current(ctx, l.key)
	if err != nil || e.Value.Term != sent.Term {
		return false
	}
	l.record, l.revision = e.Value, e.Revision
	return true
}

// giveUp lets others take the lease at once.
func (l *held) giveUp() {
	if !time.Now().Before(l.deadline) {
		return
	}
	ctx, cancel := context.WithDeadline(context.Background(), l.deadline)
	defer cancel()
	l.record.Holder = ""
	_, _ = l.records.put(ctx, l.key, l.record, l.revision)
}
