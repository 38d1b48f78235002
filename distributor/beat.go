package distributor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// engineView is the engine as last seen.
type engineView struct {
	is    messages.Engine
	known bool // is was read since the engine failed last
	told  bool // the log says that it fails
}

// beatView is how heartbeats go.
type beatView struct {
	sent  uint64
	err   error // nil when the last one was stored
	other int   // how many in a row met one of another distributor of this name
	alone int   // and how many none, since
}

const (
	// twinBeats is how many heartbeats in a row that meet another's are no accident, as the last of
	// a predecessor is, or an operator's that retires the node.
	twinBeats = 2
	// aloneBeats is after how many that meet none the other is taken for gone.
	aloneBeats = 3
)

// meets counts a stored heartbeat, and tells whether it is news that there is a twin, or none any more.
func (b *beatView) meets(other bool) (news bool) {
	was := b.twin()
	if other {
		b.other, b.alone = b.other+1, 0
	} else if b.alone++; b.alone >= aloneBeats || b.other < twinBeats {
		b.other = 0
	}
	return b.twin() != was
}

func (b *beatView) twin() bool { return b.other >= twinBeats }

// errTwin is what is wrong with a node whose name another has too.
var errTwin = errors.New("another distributor sends heartbeats under this name: give each machine a node name and a user of its own; until then this node does not count")

// beatAgain is how often a heartbeat is repeated soon after some could not be stored. A
// controller counts only those that come while it listens, and it may not do so yet.
const beatAgain = 3

// beatLoop sends a heartbeat on a timer, and at once when something changed. It ends with ctx, or
// with the reason why the first one is not allowed: what was allowed once may be so again.
func (d *Distributor) beatLoop(ctx context.Context) error {
	allowed, again := false, 0
	for {
		wait := d.cfg.Interval
		err := d.beat(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end: what the beat says then is that
		}
		switch {
		case err == nil:
			allowed = true
		case errors.Is(err, queue.ErrForbidden) && !allowed:
			return fmt.Errorf("this is not the credential of node %s of fleet %s: %w", d.cfg.Node, d.cfg.Fleet, err)
		default:
			again = beatAgain + 1
		}
		if again > 0 {
			again--
			wait = min(wait, jitter(firstRetry))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-d.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// beat sends one heartbeat, and returns nil once it is stored. What was seen too long ago, as by
// a process that was stopped in between, is not sent: it would count as seen now.
func (d *Distributor) beat(ctx context.Context) error {
	send, cancel := context.WithTimeout(ctx, d.lookTimeout()+queueTimeout)
	defer cancel()
	s := d.status(ctx)
	err := d.cfg.Queue.Heartbeat(send, s)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	twin := errors.Is(err, store.ErrTwin) // it is stored all the same
	if twin {
		err = nil
	}
	d.mu.Lock()
	was := d.beats.err
	d.beats.err = err
	news := err == nil && d.beats.meets(twin)
	isTwin := d.beats.twin()
	d.mu.Unlock()
	if news {
		signal(d.changed) // so that the next one says so
	}
	switch {
	case news && isTwin:
		d.log.Error().Err(errTwin).Msg("two nodes have one name")
	case news:
		d.log.Info().Msg("no other distributor has this node's name any more")
	case err != nil && (was == nil || s.Beat == 1):
		d.log.Warn().Err(err).Msg("can't send heartbeats; trying again")
	case err == nil && was != nil:
		d.log.Info().Uint64("beat", s.Beat).Msg("heartbeats are stored")
	}
	return err
}

// status is what there is to say now. What the engine has is asked anew each time; nothing
// is claimed that was not seen just now.
func (d *Distributor) status(ctx context.Context) *messages.NodeStatus {
	d.mu.Lock()
	d.beats.sent++
	s := &messages.NodeStatus{
		Fleet: d.cfg.Fleet, Node: d.cfg.Node, Instance: d.instance, Beat: d.beats.sent,
		Interval: messages.Duration(d.cfg.Interval), Version: d.cfg.Version, Labels: d.cfg.Labels,
		FreeBytes: -1, Work: d.work, Twin: d.beats.twin(), At: time.Now().UTC(),
	}
	record := d.record
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
	} else {
		d.engineAnswers(s.Engine)
	}
	if record != nil {
		s.Revision = record.Revision
	}
	return s
}

// lookTimeout bounds what a heartbeat asks of the engine.
func (d *Distributor) lookTimeout() time.Duration {
	return min(engineTimeout, max(d.cfg.Interval, time.Second))
}

// describe fills in what the engine is. It asks anew after the engine was gone.
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

// engineAnswers notes that everything that was asked of the engine was answered.
func (d *Distributor) engineAnswers(is messages.Engine) {
	d.mu.Lock()
	was := d.engine
	d.engine = engineView{is: is, known: true}
	d.mu.Unlock()
	if !was.known {
		d.log.Info().Str("engine", is.Name).Str("version", is.Version).Str("api", is.API).Msg("the engine answers")
		signal(d.wake)
	}
}

// engineFailed notes that the engine does not answer, and tells whether that is news.
func (d *Distributor) engineFailed(err error) bool {
	d.mu.Lock()
	news := !d.engine.told
	d.engine.known, d.engine.told = false, true
	d.mu.Unlock()
	if news {
		d.log.Warn().Err(err).Msg("the engine does not answer; trying again")
	}
	return news
}

// look fills in what the engine has of what the record wants.
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

// present lists the wanted images that the engine has under their digest and local tag. Each
// is inspected: an engine still lists an image whose files are gone.
func (d *Distributor) present(ctx context.Context, r *messages.FleetRecord) ([]messages.PresentImage, error) {
	var out []messages.PresentImage
	for _, want := range r.Wanted() {
		got, err := d.cfg.Engine.Inspect(ctx, want)
		switch local := LocalTag(r, want); {
		case errors.Is(err, ErrEngine) || ctx.Err() != nil:
			return nil, err
		case err == nil && got.keeps(want, local):
			out = append(out, messages.PresentImage{Image: want, ID: got.ID, Local: local})
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
		if d.engineFailed(fmt.Errorf("watching it ended: %w", err)) {
			signal(d.changed)
		}
		signal(d.wake)
		if !queue.Pause(ctx, min(backoff(n), d.cfg.Interval)) {
			return
		}
	}
}
