package controller

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// preloadBases lets nodes fetch the bases of a build that has not ended: as many nodes as the
// policy's first wave and its bound on nodes in flight allow.
func (c *Controller) preloadBases(ctx context.Context, m *messages.BasePinned) error {
	b, err := c.buildRecord(ctx, m.Build)
	if err != nil || b.Ended() {
		return err
	}
	fleets, err := store.BelieveRecord(ctx, c.Queue, m.BuildRef, &b, m.Fleets)
	if err != nil {
		return err
	}
	var images []messages.Image
	for _, base := range m.Bases {
		if base.Image != "" {
			images = append(images, base.Image)
		}
	}
	for _, to := range fleets {
		images, refused := allowed(to.Policy.PreloadFrom, images)
		if !to.Policy.PreloadBases || len(images)+len(refused) == 0 {
			continue
		}
		for _, r := range refused {
			c.Logger.Warn().Str("fleet", to.Fleet).Str("build", m.Build).Msg("a base is not preloaded: " + r.Reason)
		}
		nodes, err := store.MembersOf(ctx, c.Queue, to.Fleet)
		if err != nil {
			return err
		}
		if len(nodes) == 0 {
			continue
		}
		k := max(decide.PercentOf(to.Policy.Waves[0], len(nodes)), 1)
		if limit := to.Policy.MaxInFlight; limit > 0 {
			k = min(k, limit)
		}
		bases := messages.BasePreload{Build: m.Build, Images: images, Threshold: messages.WaveThreshold(m.Build, nodes, k), Refused: refused}
		if err := c.changeRecord(ctx, to.Fleet, func(r *messages.FleetRecord) bool {
			r.Bases = &bases
			r.PreloadFrom, r.Pull = to.Policy.PreloadFrom, to.Policy.Pull
			return true
		}); err != nil {
			return err
		}
	}
	// The build may have failed since the look above. The controller that was told of it had nothing
	// to clear then, as the bases were not written yet: clear them here.
	b, err = c.buildRecord(ctx, m.Build)
	if err != nil || !b.Ended() || b.State == messages.BuildStateSucceeded {
		return err
	}
	return c.endBases(ctx, m.Build)
}

// allowed sorts images by whether nodes may fetch them, with the reasons where not.
func allowed(from []string, images []messages.Image) (may []messages.Image, refused []messages.ImageProblem) {
	for _, i := range images {
		if err := messages.CheckPreload(from, i); err != nil {
			refused = append(refused, messages.ImageProblem{Image: i, Reason: err.Error()})
			continue
		}
		may = append(may, i)
	}
	return may, refused
}

// buildRecord reads a build's record, or the zero record where there is none. A build that has
// ended says so in its record before the event about it is published.
func (c *Controller) buildRecord(ctx context.Context, id string) (messages.BuildRecord, error) {
	e, err := store.Builds(c.Queue).Current(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return messages.BuildRecord{}, nil
	}
	if errors.Is(err, messages.ErrMalformed) {
		return messages.BuildRecord{}, store.Disbelieved(messages.BuildRef{Build: id}, err.Error())
	}
	return e.Value, err
}

// endBases ends the preload of a build's bases, in all fleets.
func (c *Controller) endBases(ctx context.Context, build string) error {
	fleets, err := store.Fleets(c.Queue).List(ctx)
	if err != nil {
		return err
	}
	for _, e := range fleets {
		if e.Value.Bases == nil || e.Value.Bases.Build != build {
			continue
		}
		if err := c.changeRecord(ctx, e.Key, func(r *messages.FleetRecord) bool {
			was := r.Bases != nil && r.Bases.Build == build
			if was {
				r.Bases = nil
			}
			return was
		}); err != nil {
			return err
		}
	}
	return nil
}

// changeRecord changes a fleet's record, and tells its nodes where change says that it did.
func (c *Controller) changeRecord(ctx context.Context, fleet string, change func(*messages.FleetRecord) bool) error {
	wrote := false
	e, err := store.Fleets(c.Queue).Modify(ctx, fleet, func(r *messages.FleetRecord) error {
		if wrote = change(r); !wrote {
			return queue.ErrUnchanged
		}
		if r.Fleet == "" {
			r.Fleet, r.ID = fleet, messages.NewID()
		}
		r.Decision = messages.NewID()
		return nil
	})
	if err != nil || !wrote {
		return err
	}
	c.views.seeFleet(e)
	return store.AnnounceFleet(c.Queue, messages.FleetChanged{Revision: e.Revision, Record: e.Value})
}
