package distributor

import (
	"reflect"

	"github.com/fenceline/fenceline/messages"
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
		if !r.Turns.Admits(d.cfg.Node) {
			d.work.State = messages.WorkWaiting
		}
		signal(d.changed)
	}
}

// worksOn tells whether w is what the node's work is about. The caller holds mu.
func (d *Distributor) worksOn(w want) bool {
	return w.preload && d.work != nil && d.work.Rollout == w.Rollout
}

// report says how far the preload is. Of other images it says nothing.
func (d *Distributor) report(w want, state messages.WorkState, reason string, trial *messages.TrialResult) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.worksOn(w) {
		return
	}
	now := *d.work
	now.State, now.Reason, now.Trial, now.Unusable = state, reason, trial, state == messages.WorkFailed && d.isUnusable(w.Image)
	if !reflect.DeepEqual(now, *d.work) {
		d.work = &now
		signal(d.changed)
	}
}

// maxReason bounds the text of a failure. A registry's error can hold a whole page, and a node whose
// heartbeat is larger than NATS takes falls silent.
const maxReason = 2 << 10

// brief is the text, or its beginning and end where it is too long: an error begins with what was
// being done and ends with the cause.
func brief(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return messages.Shorten(text, maxReason/2) + " " + messages.ShortenHead(text, maxReason/2)
}

// noteProblem notes why an image that the record wants is not there, whichever it is; "" where it is.
// Of a base that a build may need nothing is said.
func (d *Distributor) noteProblem(w want, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.base || d.problems[w.Image] == reason {
		return
	}
	d.problems[w.Image] = reason
	if reason == "" {
		delete(d.problems, w.Image)
	}
	signal(d.changed)
}

// takeAgain tells whether what failed is to be tried again without its pause, once.
func (d *Distributor) takeAgain() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	again := d.again
	d.again = false
	return again
}

// fail reports that a step failed, and has it tried again later. A failure that is the same as the
// one before, as of a retry, is neither logged nor told by an event.
func (d *Distributor) fail(w want, key, step string, err error) {
	reason := brief(err.Error())
	d.report(w, messages.WorkFailed, reason, nil)
	if key == string(w.Image) {
		d.noteProblem(w, reason)
	}
	if !d.retries.failed(key, step+": "+reason) {
		return
	}
	d.logOf(w).Warn().Err(err).Str("step", step).Bool("base", w.base).Msg("failed; trying again while the fleet wants it")
	if !w.base {
		d.post(event{&messages.NodeFailed{
			Fleet: d.cfg.Fleet, Node: d.cfg.Node, Rollout: w.Rollout, Image: w.Image, Step: step, Reason: reason,
		}, w.traceparent})
	}
}
