package producer

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/producer/registry"
)

const (
	// lookerDead is after how long a look is taken over of a producer that began it and told nothing since.
	lookerDead = time.Minute
	// restFirst and restMost are how long a registry is left alone that wants to be and doesn't say how long. The first one
	// doubles.
	restFirst = time.Minute
	restMost  = time.Hour
	// leaveTimeout bounds the removal of a record.
	leaveTimeout = 10 * time.Second
)

// lookInTime looks at a base whose time has come, unless another producer has.
func (b *baseFollower) lookInTime(ctx context.Context, s *followedSource) {
	s.turn.Lock()
	defer s.turn.Unlock()
	b.mu.Lock()
	rest := time.Until(b.resting[registry.Host(s.name)])
	if rest > 0 {
		s.due = time.Now().Add(rest + rand.N(rest/5+time.Second)) // not all its images at once
	}
	b.mu.Unlock()
	if rest > 0 {
		return
	}
	err := b.lookOnce(ctx, s)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		s.due = time.Now().Add(jittered(baseFirstPause))
		b.log.Warn().Err(err).Str("base", s.name).Msg("a base could not be looked at: it is looked at again")
	}
}

// lookOnce is lookInTime. Its error is of the queue.
func (b *baseFollower) lookOnce(ctx context.Context, s *followedSource) error {
	e, err := b.Looks.Current(ctx, messages.BaseKey(s.name))
	if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
		return err
	}
	left, err := b.left(ctx, s, e, err == nil)
	if err != nil || left {
		return err
	}
	b.mu.Lock()
	s.must = false // what comes from here on has it looked at once more
	b.mu.Unlock()
	claimed := e.Value
	claimed.Source, claimed.Looking, claimed.Looker = s.name, true, messages.NewID()
	revision, err := b.put(ctx, claimed, e.Revision, e.Deleted)
	if errors.Is(err, queue.ErrMoved) || errors.Is(err, queue.ErrExists) {
		b.mu.Lock()
		defer b.mu.Unlock()
		s.due = time.Now().Add(jittered(2 * baseGap)) // by then it is there what the other saw
		return nil
	}
	if err != nil {
		return err
	}
	e.Value, e.Revision, e.Deleted = claimed, revision, false
	_, err = b.ask(ctx, s, e)
	return err
}

// left tells whether a base is to be left alone: another producer has looked at it, or does. What it saw is taken in.
func (b *baseFollower) left(ctx context.Context, s *followedSource, e queue.Entry[messages.BaseLook], known bool) (bool, error) {
	if !known {
		b.mu.Lock()
		defer b.mu.Unlock()
		first := !s.read && !s.must
		if s.read = true; first { // a build took it a moment ago, or many are new: not all at once
			s.due = time.Now().Add(rand.N(min(b.interval(s)/4, time.Minute)))
		}
		return first, nil
	}
	info, err := b.Looks.Info(ctx)
	if err != nil {
		return false, err
	}
	age := info.Now.Sub(e.Created)
	b.mu.Lock()
	defer b.mu.Unlock()
	moved := e.Revision != s.revision
	s.revision, s.read = e.Revision, true
	interval := b.interval(s)
	switch {
	case e.Value.Looking && age < lookerDead:
		s.due = time.Now().Add(jittered(2 * baseGap))
		return true, nil
	case e.Value.Looking || e.Value.Wanted || s.must || !moved || age > interval:
		return false, nil
	case e.Value.Problem != "":
		s.failures = max(s.failures, e.Value.Failures)
		s.due = time.Now().Add(max(baseGap, b.afterFailure(s, nil)-age))
		return true, nil
	}
	b.saw(s, e.Value.Digest)
	s.due = time.Now().Add(interval - age)
	return true, nil
}

// lookNow looks at a base whatever others saw. errLater is that its registry wants to be left alone, or was asked a moment
// ago, or does not say: then that it is wanted is stored.
func (b *baseFollower) lookNow(ctx context.Context, s *followedSource) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	b.mu.Lock()
	wait := max(time.Until(s.seen.Add(baseGap)), time.Until(b.resting[registry.Host(s.name)]))
	b.mu.Unlock()
	if wait > 0 {
		return b.want(ctx, s, wait)
	}
	return b.lookAtOnce(ctx, s)
}

// lookAtOnce is lookNow where nothing speaks against it. The caller has the base's turn.
func (b *baseFollower) lookAtOnce(ctx context.Context, s *followedSource) error {
	return b.again(ctx, s, func(e queue.Entry[messages.BaseLook]) error {
		e.Value.Wanted = true // until it was seen
		shown, err := b.ask(ctx, s, e)
		if err == nil && !shown {
			err = errLater
		}
		return err
	})
}

// want stores that a base is to be looked at, after a time, and returns errLater.
func (b *baseFollower) want(ctx context.Context, s *followedSource, wait time.Duration) error {
	return b.again(ctx, s, func(e queue.Entry[messages.BaseLook]) error {
		e.Value.Source, e.Value.Wanted, e.Value.Looker = s.name, true, messages.NewID()
		if _, err := b.put(ctx, e.Value, e.Revision, e.Deleted); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		s.due = time.Now().Add(wait)
		b.changed()
		return errLater
	})
}

// again does something with a base's record, as often as others change it meanwhile.
func (b *baseFollower) again(ctx context.Context, s *followedSource, do func(queue.Entry[messages.BaseLook]) error) error {
	for {
		e, err := b.Looks.Current(ctx, messages.BaseKey(s.name))
		if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
			return err
		}
		if err = do(e); !errors.Is(err, queue.ErrMoved) && !errors.Is(err, queue.ErrExists) {
			return err
		}
	}
}

// ask asks a base's registry, and stores what it said before anything follows from it. shown is that it said what the base is.
func (b *baseFollower) ask(ctx context.Context, s *followedSource, e queue.Entry[messages.BaseLook]) (shown bool, err error) {
	v := e.Value
	digest, problem := b.Registry.Digest(ctx, s.name, v.Digest)
	if problem != nil && ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	now := time.Now()
	v.Source, v.Looking, v.Looker = s.name, false, messages.NewID()
	b.mu.Lock()
	s.seen = now
	if problem == nil {
		s.failures, s.due = 0, now.Add(b.interval(s))
		v.Digest, v.Wanted, v.Problem, v.Failures, v.Since, v.Again = digest, false, "", 0, time.Time{}, time.Time{}
	} else {
		pause := b.afterFailure(s, problem)
		s.due = now.Add(pause)
		if v.Problem == "" {
			v.Since = now.UTC()
		}
		v.Problem, v.Failures, v.Again = messages.Shorten(problem.Error(), maxProblem), s.failures, s.due.UTC()
		b.log.Warn().Err(problem).Str("base", s.name).Dur("again_in", pause).Msg("the registry did not show a base: it is asked again")
	}
	b.mu.Unlock()
	revision, err := b.put(context.WithoutCancel(ctx), v, e.Revision, e.Deleted)
	if err != nil {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.revision = revision; problem == nil {
		b.saw(s, digest)
	} else {
		b.changed()
	}
	return problem == nil, nil
}

// maxProblem bounds what is kept of why a base could not be seen, in bytes.
const maxProblem = 1000

// afterFailure counts a failure, and returns how long the base is left alone. The caller has the lock.
func (b *baseFollower) afterFailure(s *followedSource, problem error) time.Duration {
	if problem != nil {
		s.failures++
	}
	pause := min(restFirst<<min(max(s.failures-1, 0), 10), restMost)
	var busy *registry.BusyError
	if errors.As(problem, &busy) {
		pause = max(pause, busy.After)
		host := registry.Host(s.name)
		if until := time.Now().Add(pause); until.After(b.resting[host]) {
			b.resting[host] = until // all its images wait
		}
	}
	return jittered(pause) + pause/5 // never sooner than it wants
}

// saw takes in what a base names. The caller has the lock.
func (b *baseFollower) saw(s *followedSource, digest string) {
	s.digest = digest
	for _, p := range b.usersOf(s) {
		b.judge(p)
	}
	b.changed()
}

// put writes what was seen of a base, by revision.
func (b *baseFollower) put(ctx context.Context, v messages.BaseLook, revision uint64, deleted bool) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if revision == 0 || deleted {
		return b.Looks.Create(ctx, messages.BaseKey(v.Source), v)
	}
	return b.Looks.Update(ctx, messages.BaseKey(v.Source), v, revision)
}

// leave removes the record of a base that no pipeline follows, unless others write it.
func (b *baseFollower) leave(s *followedSource) {
	if s.revision == 0 {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
		defer cancel()
		_ = b.Looks.Delete(ctx, messages.BaseKey(s.name), s.revision) // another producer may look at it: it writes it again
	}()
}
