package overview

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// trialsTimed bounds the canaries whose trials' times are looked for.
const trialsTimed = 50

// Course is what is known of a rollout beside its record, as long as that is kept.
type Course struct {
	Build     *messages.BuildRecord // of its image; nil where it is gone
	Started   []Told                // attempts of that build, oldest first: who, and when
	Announced time.Time             // when its image was announced, by the clock of NATS
	Told      []Told                // of the rollout, oldest first
}

// CourseOf reads what is known of a rollout beside its record.
func CourseOf(ctx context.Context, q *queue.Client, r *messages.RolloutRecord) (*Course, error) {
	c, space := &Course{}, q.Space()
	take := func(m queue.Received) error {
		switch p := m.Payload.(type) {
		case *messages.BuildStarted:
			c.Started = append(c.Started, Told{At: m.Stored, Node: p.Worker, What: "started"})
		case *messages.ImageReady:
			c.Announced = m.Stored
		default:
			if t, ok := toldOf(&m); ok && t.Rollout == r.ID {
				c.Told = append(c.Told, t)
			}
		}
		return nil
	}
	ready := &r.Ready
	events := []string{
		space.AnyVersion(messages.TypeRolloutChanged, r.Fleet, r.ID),
		space.AnyVersion(messages.TypeBuildStarted, ready.Pipeline, ready.Build), space.AnyVersion(messages.TypeImageReady, ready.Pipeline, ready.Build),
	}
	var reports []string
	for _, node := range r.Canaries {
		if len(reports) < trialsTimed {
			reports = append(reports, space.AnyVersion(messages.TypeTrialFinished, r.Fleet, node))
		}
	}
	if err := readBoth(ctx, q, events, reports, take); err != nil {
		return nil, err
	}
	sortTold(c.Told)
	switch e, err := store.Builds(q).Get(ctx, ready.Build); {
	case err == nil:
		c.Build = &e.Value
	case !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed):
		return nil, err
	}
	return c, nil
}

// CurveOf is how far a rollout's members were over time: as its record has it, or where that has nothing, as its events
// tell who had the image, from which it is not known who applied it.
func (c *Course) CurveOf(r *messages.RolloutRecord) (points []messages.CurvePoint, told bool) {
	if len(r.Curve) > 0 {
		return r.Curve, false
	}
	for _, t := range c.Told {
		if t.Members == 0 || t.By != "" {
			continue
		}
		p := messages.CurvePoint{At: t.At, Present: t.Present}
		if n := len(points); n > 1 && points[n-1].Present == p.Present && points[n-2].Present == p.Present {
			points[n-1] = p
			continue
		}
		points = append(points, p)
	}
	return points, true
}
