package distributor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// status is what the heartbeat says that is sent now. The engine is asked anew each time, so that
// nothing is claimed that was not seen just now.
func (d *Distributor) status(ctx context.Context) *messages.NodeStatus {
	d.mu.Lock()
	d.beats.sent++
	s := &messages.NodeStatus{
		Fleet: d.cfg.Fleet, Node: d.cfg.Node, Instance: d.instance, Beat: d.beats.sent,
		Interval: messages.Duration(d.cfg.Interval), Version: d.cfg.Version, Labels: d.cfg.Labels,
		FreeBytes: -1, MinFreeBytes: d.cfg.MinFreeBytes, Work: d.work, Twin: d.beats.twin(), At: time.Now().UTC(),
	}
	record := d.record
	s.Fetching, s.Applied = d.fetchNow(), d.applied
	s.Ledger, s.LedgerMore = d.ledger, d.ledgerMore
	problems := maps.Clone(d.problems)
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, d.lookTimeout())
	defer cancel()
	err := d.describe(ctx, s)
	if err == nil {
		err = d.look(ctx, s, record)
	}
	if err != nil {
		d.engineFailed(err)
		s.Images, s.Containers, s.FreeBytes, s.Engine.Error = nil, nil, -1, brief(err.Error())
		s.Ledger, s.LedgerMore = nil, 0
	} else {
		d.engineAnswers(s.Engine)
	}
	if record != nil {
		s.Revision = record.Revision
		way := d.way(&record.Record)
		s.Mirror, s.Troubles = way.Shared(), d.troubles(&way)
		s.Problems = problemsOf(&record.Record, problems, s.Images)
	}
	return s
}

// problemsOf lists why wanted images are not there, in the record's order.
func problemsOf(r *messages.FleetRecord, problems map[messages.Image]string, present []messages.PresentImage) []messages.ImageProblem {
	var out []messages.ImageProblem
	for _, image := range r.Wanted() {
		there := slices.ContainsFunc(present, func(p messages.PresentImage) bool { return p.Image == image })
		if reason := problems[image]; reason != "" && !there {
			out = append(out, messages.ImageProblem{Image: image, Reason: reason})
		}
	}
	return out
}

// lookTimeout bounds the time for all that a heartbeat asks of the engine.
func (d *Distributor) lookTimeout() time.Duration {
	return min(engineTimeout, max(d.cfg.Interval, time.Second))
}

// describe fills in what the engine is. It is asked once, and again after it was gone.
func (d *Distributor) describe(ctx context.Context, s *messages.NodeStatus) error {
	d.mu.Lock()
	view := d.engine
	d.mu.Unlock()
	s.Engine = view.is
	if view.known {
		return nil
	}
	is, err := d.cfg.Engine.Info(ctx)
	if err == nil {
		s.Engine = is
	}
	return err
}

// look fills in what the engine has: wanted images, running containers, and free space.
func (d *Distributor) look(ctx context.Context, s *messages.NodeStatus, record *messages.FleetChanged) error {
	if record != nil {
		var err error
		if s.Images, err = d.present(ctx, &record.Record); err != nil {
			return err
		}
		if len(s.Images) < len(d.wants(&record.Record)) {
			signal(d.wake)
		}
	}
	containers, err := d.cfg.Engine.Containers(ctx)
	if err != nil {
		return err
	}
	s.Containers = running(containers)
	s.FreeBytes, err = d.cfg.Engine.FreeBytes(ctx)
	if err != nil {
		return fmt.Errorf("reading the free space of the engine's disk: %w", err)
	}
	return nil
}

// present lists the wanted images that the engine has under their digest and local tag. Each is
// inspected, as an engine still lists an image whose files are gone.
func (d *Distributor) present(ctx context.Context, r *messages.FleetRecord) ([]messages.PresentImage, error) {
	var out []messages.PresentImage
	for _, want := range r.Wanted() {
		got, err := d.cfg.Engine.Inspect(ctx, want)
		switch local := r.LocalName(want); {
		case errors.Is(err, ErrEngine) || ctx.Err() != nil:
			return nil, err
		case err == nil && got.keeps(want, local):
			out = append(out, messages.PresentImage{Image: want, ID: got.ID, Local: local, LocalOnly: got.LocalOnly})
		}
	}
	return out, nil
}

// running lists running containers by name, as many as fit a heartbeat.
func running(all []Container) []messages.ContainerUse {
	var out []messages.ContainerUse
	for _, c := range all {
		if c.Running {
			out = append(out, messages.ContainerUse{Container: c.Name, Image: c.Image})
		}
	}
	slices.SortFunc(out, func(a, b messages.ContainerUse) int { return cmp.Compare(a.Container, b.Container) })
	return out[:min(len(out), maxContainers)]
}
