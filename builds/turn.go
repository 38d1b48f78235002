package builds

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sync/errgroup"
)

// A pipeline can ask for each push of a branch to be built, one after the other. Then a request whose turn has not come is
// handed back before it is claimed, which holds no slot: its build stays queued.

// turnPause is how long a request waits for each build before it, and turnMost at most, until its turn is looked at again.
const (
	turnPause = 250 * time.Millisecond
	turnMost  = time.Minute
)

// errNotItsTurn tells that a request was handed back, for earlier ones.
var errNotItsTurn = errors.New("earlier pushes of the branch are built first")

// inTurn hands back a request whose turn has not come.
func (a *attempt) inTurn() error {
	if !a.request.InTurn() {
		return nil
	}
	ahead := 0
	err := a.d.Insist(func() (err error) {
		ahead, err = a.w.q.ahead(a.d.Context(), a.request)
		return err
	})
	if err != nil || ahead == 0 {
		return err
	}
	if err := a.d.Return(min(time.Duration(ahead)*turnPause, turnMost)); err != nil {
		return err
	}
	return errNotItsTurn
}

// ahead counts the pushes of a request's branch that were asked for before it and whose builds have not ended.
func (q *Queue) ahead(ctx context.Context, r *messages.BuildRequested) (int, error) {
	type request struct {
		sequence uint64
		build    string
		over     bool
	}
	var earlier []request
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyRequest(r.Pipeline.Name)}}
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		e, ok := m.Payload.(*messages.BuildRequested)
		if ok && m.Newer == "" && e.Cause == messages.CausePush && e.Ref == r.Ref && e.Order < r.Order {
			earlier = append(earlier, request{m.Sequence, e.Build, false})
		}
		return nil
	})
	if err != nil || len(earlier) == 0 {
		return 0, err
	}
	// One that is settled without a record is a dead letter, which nobody waits for.
	floor, err := q.c.AckFloor(ctx, requests(q.c, messages.TypeBuildRequested, 0))
	if err != nil {
		return 0, err
	}
	looks, ctx := errgroup.WithContext(ctx)
	looks.SetLimit(looksMost)
	for i := range earlier {
		e := &earlier[i]
		looks.Go(func() error {
			record, err := q.records.Current(ctx, e.build)
			switch {
			case errors.Is(err, queue.ErrNotFound):
				e.over, err = e.sequence <= floor, nil
			case errors.Is(err, messages.ErrMalformed):
				e.over, err = true, nil
			default:
				e.over = record.Value.Ended()
			}
			return err
		})
	}
	if err := looks.Wait(); err != nil {
		return 0, err
	}
	ahead := 0
	for _, e := range earlier {
		if !e.over {
			ahead++
		}
	}
	return ahead, nil
}
