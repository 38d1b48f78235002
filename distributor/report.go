package distributor

import (
	"context"
	"reflect"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// startWork makes the node's work about the record's preload, if the node is admitted.
func (d *Distributor) startWork(r *messages.FleetRecord) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := r.Preload
	if !d.admitted(p) {
		if d.work != nil {
			d.work = nil
			signal(d.changed)
		}
		return
	}
	if d.work == nil || d.work.Rollout != p.Rollout || d.work.Image != p.Image {
		d.work = &messages.NodeWork{Rollout: p.Rollout, Image: p.Image, State: messages.WorkPulling}
		signal(d.changed)
	}
}

// report says how far the preload is. Of other images it says nothing.
func (d *Distributor) report(w want, state messages.WorkState, reason string, trial *messages.TrialResult) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !w.preload || d.work == nil || d.work.Rollout != w.Rollout {
		return
	}
	now := *d.work
	now.State, now.Reason, now.Trial = state, reason, trial
	if !reflect.DeepEqual(now, *d.work) {
		d.work = &now
		signal(d.changed)
	}
}

// maxReason bounds the text of a failure. A registry's error can hold a whole page, and a
// heartbeat that exceeds what NATS takes would make the node fall silent.
const maxReason = 2 << 10

// brief is the text, or its beginning and end where it is too long: an error begins with what was
// being done and ends with the cause.
func brief(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return messages.Shorten(text, maxReason/2) + " " + messages.ShortenHead(text, maxReason/2)
}

// fetched notes the bytes fetched for the preload; the next heartbeat tells.
func (d *Distributor) fetched(w want, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.preload && d.work != nil && d.work.Rollout == w.Rollout {
		now := *d.work
		now.Bytes = bytes
		d.work = &now
	}
}

func (d *Distributor) bytesOf(w want) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.preload && d.work != nil && d.work.Rollout == w.Rollout {
		return d.work.Bytes
	}
	return 0
}

// fail reports that a step failed, and has it tried again later. An event and a log line
// are sent when the failure is a new one, not for each retry.
func (d *Distributor) fail(w want, key, step string, err error) {
	reason := brief(err.Error())
	d.report(w, messages.WorkFailed, reason, nil)
	if !d.retries.failed(key, step+": "+reason) {
		return
	}
	d.log.Warn().Err(err).Str("step", step).Stringer("image", w.Image).Bool("base", w.base).Msg("failed; trying again while the fleet wants it")
	if !w.base {
		d.tell(&messages.NodeFailed{
			Fleet: d.cfg.Fleet, Node: d.cfg.Node, Rollout: w.Rollout, Image: w.Image, Step: step, Reason: reason,
		})
	}
}

// tell has an event sent. Heartbeats carry the same news, so that the oldest event may go
// where the queue can't be reached for long.
func (d *Distributor) tell(p messages.Payload) {
	for {
		select {
		case d.outbox <- p:
			return
		default:
		}
		select {
		case <-d.outbox:
			d.log.Warn().Msg("dropped the oldest event that waits for the queue")
		default:
		}
	}
}

// sendEvents sends what tell was given, in order, each until it is stored.
func (d *Distributor) sendEvents(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-d.outbox:
			d.send(ctx, p)
		}
	}
}

func (d *Distributor) send(ctx context.Context, p messages.Payload) {
	for n := 1; ; n++ {
		try, cancel := context.WithTimeout(ctx, queueTimeout)
		err := d.cfg.Queue.Publish(try, "", p)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if n == 1 {
			d.log.Warn().Err(err).Str("type", string(p.MessageType())).Msg("can't send an event; trying again")
		}
		if verr := p.Validate(); verr != nil {
			d.log.Error().Err(verr).Msg("dropped an event that nobody could read")
			return
		}
		if !queue.Pause(ctx, backoff(n)) {
			return
		}
	}
}
