package distributor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
)

// verdict is the outcome of the last trial, so that it is not run again for its rollout.
type verdict struct {
	rollout string
	image   messages.Image
	result  *messages.TrialResult
}

// trialKey is the key of a rollout's trial in retries.
func trialKey(rollout string) string { return "trial " + rollout }

// verdictOn is the outcome of this rollout's trial, or nil when it did not end here.
func (d *Distributor) verdictOn(w want) *messages.TrialResult {
	if d.verdict.rollout == w.Rollout && d.verdict.image == w.Image {
		return d.verdict.result
	}
	return nil
}

// reportVerdict makes a verdict the state of the node's work.
func (d *Distributor) reportVerdict(w want, v *messages.TrialResult) {
	if v.Passed {
		d.report(w, messages.WorkDone, "", v)
		return
	}
	d.report(w, messages.WorkFailed, v.Reason, v)
}

// runTrial runs the trial of a preload. What the image does wrong is a verdict, and final for
// this rollout; what keeps the engine from running the trial is a failure, and tried again.
func (d *Distributor) runTrial(ctx context.Context, w want, r *messages.FleetRecord) {
	p := r.Preload
	wanted := func(r *messages.FleetRecord) bool {
		return r.Preload != nil && r.Preload.Rollout == p.Rollout && r.Preload.Image == p.Image && d.canary(r.Preload)
	}
	d.runJob(ctx, wanted, func(ctx context.Context) {
		d.report(w, messages.WorkTrial, "", nil)
		d.logOf(w).Info().Strs("hooks", p.Hooks).Msg("trying")
		_, span := d.tracer(w.traceparent).Start(ctx, w.traceparent, "trial", d.about(w.FleetImage))
		result, err := d.cfg.Engine.Trial(ctx, Trial{
			Owner: d.owner(r), Rollout: p.Rollout, Image: p.Image, HooksDir: p.HooksDir, Hooks: p.Hooks,
			Network: p.Trial.Network, User: p.Trial.User, Timeout: p.Trial.Timeout.Std(),
		})
		span.Say(tracing.Truth("passed", err == nil && result.Passed))
		span.End(trialError(result, err))
		d.swept = false // what the engine could not remove is removed later
		switch {
		case errors.Is(context.Cause(ctx), errNotWanted):
			d.log.Info().Stringer("image", w.Image).Msg("gave up the trial: the fleet no longer wants the image")
		case ctx.Err() != nil: // the agent stops
		case err != nil:
			d.cfg.Metrics.Tried("error")
			d.fail(w, trialKey(w.Rollout), "trial", err)
		case result.Passed:
			d.cfg.Metrics.Tried("passed")
			d.keepVerdict(w, result)
		default:
			d.cfg.Metrics.Tried("failed")
			d.keepVerdict(w, result)
		}
	})
}

// trialError is what went wrong with a trial, for whichever reason.
func trialError(result messages.TrialResult, err error) error {
	if err == nil && !result.Passed {
		return errors.New(result.Reason)
	}
	return err
}

// keepVerdict remembers a verdict, and tells it.
func (d *Distributor) keepVerdict(w want, result messages.TrialResult) {
	result.Reason = brief(result.Reason)
	delete(d.retries, trialKey(w.Rollout))
	d.verdict = verdict{rollout: w.Rollout, image: w.Image, result: &result}
	d.logOf(w).Info().Bool("passed", result.Passed).Str("reason", result.Reason).Msg("tried")
	d.reportVerdict(w, &result)
	d.post(event{&messages.TrialFinished{
		Fleet: d.cfg.Fleet, Node: d.cfg.Node, Rollout: w.Rollout, Image: w.Image, TrialResult: result,
	}, w.traceparent})
}

// sweepTrials is how often containers of trials are looked for that nobody else removes.
const sweepTrials = 10 * time.Minute

// removeTrials removes the containers of trials that a killed predecessor left, or that the engine
// could not remove after a trial of ours, or whose agent never came back.
func (d *Distributor) removeTrials(ctx context.Context, r *messages.FleetRecord) {
	if d.swept && time.Since(d.sweptAt) < sweepTrials {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	n, err := d.cfg.Engine.RemoveTrials(ctx, d.owner(r))
	if err != nil {
		d.log.Warn().Err(err).Msg("can't remove containers of earlier trials yet")
		return
	}
	d.swept, d.sweptAt = true, time.Now()
	if n > 0 {
		d.log.Info().Int("containers", n).Msg("removed containers that an earlier trial left")
	}
}

// owner names this agent on its engine. It has the fleet's ID as local tags have, so that
// installations that share an engine leave each other's trials alone.
func (d *Distributor) owner(r *messages.FleetRecord) string {
	return strings.TrimPrefix(r.ID+"."+messages.NodeKey(d.cfg.Fleet, d.cfg.Node), ".")
}
