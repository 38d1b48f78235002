package producer

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// SharedPolls is what the producers of an installation share of polls: one of them polls at a time, and the next goes on from
// what it saw. Nil shares nothing.
type SharedPolls struct {
	c       *queue.Client
	records *queue.Records[messages.RepositoryPoll]
}

// SharePolls shares polls by a client.
func SharePolls(c *queue.Client) *SharedPolls { return &SharedPolls{c, store.Polls(c)} }

const (
	// pollLease is how long others wait for a producer that polls and went silent.
	pollLease = 20 * time.Second
	// unsharedLook is between looks whether polls can be shared.
	unsharedLook = time.Minute
)

// lead runs run whenever it is this producer that polls, until ctx ends. Where an installation, or a credential, is from
// before polls were shared, each producer polls, and forgets at its end what it saw.
func (s *SharedPolls) lead(ctx context.Context, log zerolog.Logger, run func(context.Context, *SharedPolls)) {
	if s == nil {
		run(ctx, nil)
		return
	}
	for ctx.Err() == nil {
		if err := s.shared(ctx); err != nil {
			log.Warn().Err(err).Msg("each producer polls by itself, and finds no pushes of tags, and of branches that only a pattern names")
			s.alone(ctx, run)
			continue
		}
		err := s.c.Lease(ctx, s.c.Space().TriggersBucket(), "polls", messages.NewID(), pollLease, func(ctx context.Context) error {
			run(ctx, s)
			return context.Cause(ctx)
		})
		if ctx.Err() == nil {
			log.Warn().Err(err).Msg("it is not known which producer polls")
			queue.Pause(ctx, time.Second)
		}
	}
}

// shared tells why polls can't be shared, or nil: also where that is not known now.
func (s *SharedPolls) shared(ctx context.Context) error {
	err := store.CheckTriggers(ctx, s.c)
	if errors.Is(err, queue.ErrForbidden) || errors.Is(err, queue.ErrUndeclared) {
		return err
	}
	return nil
}

// alone runs run by itself until polls can be shared.
func (s *SharedPolls) alone(ctx context.Context, run func(context.Context, *SharedPolls)) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		for queue.Pause(ctx, unsharedLook) && s.shared(ctx) != nil {
		}
	}()
	run(ctx, nil)
}

// seen is what was seen of a repository, or nothing yet.
func (s *SharedPolls) seen(ctx context.Context, key string) (queue.Entry[messages.RepositoryPoll], error) {
	if s == nil {
		return queue.Entry[messages.RepositoryPoll]{}, nil
	}
	e, err := s.records.Current(ctx, key)
	if errors.Is(err, queue.ErrNotFound) || errors.Is(err, messages.ErrMalformed) { // who can't be read is written anew
		e.Value, err = messages.RepositoryPoll{}, nil
	}
	return e, err
}

// keep writes what was seen of a repository, where that is something else than before. Where another producer wrote
// meanwhile, its word stands.
func (s *SharedPolls) keep(ctx context.Context, key string, next *messages.RepositoryPoll, before queue.Entry[messages.RepositoryPoll]) (err error) {
	if s == nil || !next.Differs(&before.Value) {
		return nil
	}
	next.Writer = messages.NewID()
	if before.Revision == 0 || before.Deleted {
		_, err = s.records.Create(ctx, key, *next)
	} else {
		_, err = s.records.Update(ctx, key, *next, before.Revision)
	}
	if errors.Is(err, queue.ErrMoved) || errors.Is(err, queue.ErrExists) {
		return nil
	}
	return err
}

// drop removes what was seen of repositories that are not kept.
func (s *SharedPolls) drop(ctx context.Context, kept func(key string) bool) error {
	if s == nil {
		return nil
	}
	all, err := s.records.List(ctx)
	if err != nil {
		return err
	}
	for _, e := range all {
		if kept(e.Key) {
			continue
		}
		if err := s.records.Delete(ctx, e.Key, e.Revision); err != nil && !errors.Is(err, queue.ErrMoved) {
			return err
		}
	}
	return nil
}
