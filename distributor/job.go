package distributor

import (
	"context"

	"github.com/fenceline/fenceline/messages"
)

// job is a pull or a trial under way.
type job struct {
	wanted func(*messages.FleetRecord) bool
	cancel context.CancelCauseFunc
}

// runJob runs fn as the job under way. Its context ends with errNotWanted when a newer record
// doesn't want it any more.
func (d *Distributor) runJob(ctx context.Context, wanted func(*messages.FleetRecord) bool, fn func(context.Context)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.mu.Lock()
	d.job = &job{wanted: wanted, cancel: cancel}
	if !wanted(&d.record.Record) {
		cancel(errNotWanted)
	}
	d.mu.Unlock()
	fn(ctx)
	d.mu.Lock()
	d.job = nil
	d.mu.Unlock()
}
