package distributor

import (
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
)

// trail is the trace of the last rollout that the fleet's record told of. Once the rollout's image is current the record
// says nothing of it.
type trail struct {
	rollout, traceparent string
	spans                bool // this node makes spans
}

// follow remembers the trace of a record's rollout.
func (d *Distributor) follow(r *messages.FleetRecord) {
	if p := r.Preload; p != nil && p.Traceparent != "" {
		d.trail.Store(&trail{p.Rollout, p.Traceparent, p.Traces(d.cfg.Node)})
	}
}

// traceOf is the traceparent of the rollout that brought an image, or "".
func (d *Distributor) traceOf(i messages.FleetImage) string {
	if t := d.trail.Load(); t != nil && i.Rollout != "" && t.rollout == i.Rollout {
		return t.traceparent
	}
	return ""
}

// tracer makes the spans of what is done on a rollout's trace: nil where this node makes none.
func (d *Distributor) tracer(traceparent string) *tracing.Tracer {
	if t := d.trail.Load(); t != nil && t.spans && t.traceparent == traceparent && traceparent != "" {
		return d.cfg.Tracer
	}
	return nil
}

// about is what the node's spans say.
func (d *Distributor) about(i messages.FleetImage) tracing.Option {
	return tracing.Saying(append(tracing.Images(i.Image), tracing.Fleet(d.cfg.Fleet), tracing.Node(d.cfg.Node), tracing.Rollout(i.Rollout))...)
}

// logOf is the log of what is done for an image.
func (d *Distributor) logOf(w want) *zerolog.Logger {
	l := tracing.Logged(d.log.With().Stringer("image", w.Image), messages.TraceID(w.traceparent)).Logger()
	return &l
}
