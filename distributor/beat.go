package distributor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// engineView is the engine as last seen.
type engineView struct {
	is  messages.Engine
	err error // nil while it answers
}

// beatView is how heartbeats go.
type beatView struct {
	sent uint64
	err  error // nil when the last one was stored
}

// beatLoop sends a heartbeat on a timer, and at once when something changed.
func (d *Distributor) beatLoop(ctx context.Context) {
	for {
		wait := d.cfg.Interval
		if !d.beat(ctx) {
			wait = min(wait, jitter(firstRetry))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// beat sends one heartbeat, and tells whether it is stored.
func (d *Distributor) beat(ctx context.Context) bool {
	s := d.status(ctx)
	send, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	err := d.cfg.Queue.Heartbeat(send, s)
	if ctx.Err() != nil {
		return false
	}
	d.mu.Lock()
	was := d.beats.err
	d.beats.err = err
	d.mu.Unlock()
	switch {
	case err != nil && (was == nil || s.Beat == 1):
		d.log.Warn().Err(err).Msg("can't send heartbeats; trying again")
	case err == nil && was != nil:
		d.log.Info().Uint64("beat", s.Beat).Msg("heartbeats are stored")
	}
	return err == nil
}

// status is what there is to say now. What the engine has is asked anew each time; nothing
// is claimed that was not seen just now.
func (d *Distributor) status(ctx context.Context) *messages.NodeStatus {
	d.mu.Lock()
	d.beats.sent++
	s := &messages.NodeStatus{
		Fleet: d.cfg.Fleet, Node: d.cfg.Node, Instance: d.instance, Beat: d.beats.sent,
		Interval: messages.Duration(d.cfg.Interval), Version: d.cfg.Version, Labels: d.cfg.Labels,
		FreeBytes: -1, Work: d.work,
	}
	record := d.record
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, min(engineTimeout, max(d.cfg.Interval, time.Second)))
	defer cancel()
	s.Engine = d.describe(ctx)
	if s.Engine.Error == "" {
		if err := d.look(ctx, s, record); err != nil {
			d.engineFailed(err)
			s.Images, s.Containers, s.FreeBytes, s.Engine.Error = nil, nil, -1, err.Error()
		}
	}
	if record != nil {
		s.Revision = record.Revision
	}
	return s
}

// describe says what the engine is. It asks anew after the engine was gone.
func (d *Distributor) describe(ctx context.Context) messages.Engine {
	d.mu.Lock()
	view := d.engine
	d.mu.Unlock()
	if view.err == nil {
		return view.is
	}
	is, err := d.cfg.Engine.Info(ctx)
	if err != nil {
		d.engineFailed(err)
		view.is.Error = err.Error()
		return view.is
	}
	d.mu.Lock()
	d.engine = engineView{is: is}
	d.mu.Unlock()
	d.log.Info().Str("engine", is.Name).Str("version", is.Version).Str("api", is.API).Msg("the engine answers")
	signal(d.wake)
	return is
}

// engineFailed notes that the engine does not answer; it is told once.
func (d *Distributor) engineFailed(err error) {
	d.mu.Lock()
	was := d.engine
	d.engine.err = err
	d.mu.Unlock()
	if was.err == nil || was.is.Name == "" && was.err.Error() != err.Error() {
		d.log.Warn().Err(err).Msg("the engine does not answer; trying again")
		signal(d.changed)
	}
}

// look fills in what the engine has of what the record wants.
func (d *Distributor) look(ctx context.Context, s *messages.NodeStatus, record *messages.FleetChanged) error {
	images, err := d.cfg.Engine.Images(ctx)
	if err != nil {
		return err
	}
	if record != nil {
		s.Images = d.present(&record.Record, images)
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

// present lists the wanted images that the engine has under their digest and local tag.
func (d *Distributor) present(r *messages.FleetRecord, images []Image) []messages.PresentImage {
	var out []messages.PresentImage
	for _, want := range r.Wanted() {
		local := LocalTag(r, want)
		for _, i := range images {
			if i.Has(want) && slices.Contains(i.Tags, local) {
				out = append(out, messages.PresentImage{Image: want, ID: i.ID, Local: local})
				break
			}
		}
	}
	return out
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

// followEngine watches the engine: what happens to its images and itself is looked at at once.
func (d *Distributor) followEngine(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		err := d.cfg.Engine.Watch(ctx, func() {
			n = 1
			signal(d.wake)
			signal(d.changed)
		})
		if ctx.Err() != nil {
			return
		}
		d.engineFailed(fmt.Errorf("watching it ended: %w", err))
		signal(d.wake)
		if !pause(ctx, min(backoff(n), d.cfg.Interval)) {
			return
		}
	}
}
