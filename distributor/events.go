package distributor

import (
	"context"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// event is one that waits to be sent.
type event struct {
	payload     messages.Payload
	traceparent string // of the rollout that it is about
}

// post has an event sent. Where the queue can't be reached for so long that the outbox is full, the
// oldest event goes: heartbeats carry the same news.
func (d *Distributor) post(e event) {
	for {
		select {
		case d.outbox <- e:
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

// sendEvents sends what was posted, in order, each until it is stored.
func (d *Distributor) sendEvents(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-d.outbox:
			d.send(ctx, e)
		}
	}
}

// send sends one event until it is stored, or ctx ends, or it is one that nobody could read.
func (d *Distributor) send(ctx context.Context, e event) {
	for n := 1; ; n++ {
		try, cancel := context.WithTimeout(ctx, queueTimeout)
		err := d.cfg.Queue.Publish(try, e.traceparent, e.payload)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if n == 1 {
			d.log.Warn().Err(err).Str("type", string(e.payload.MessageType())).Msg("can't send an event; trying again")
		}
		if verr := e.payload.Validate(); verr != nil {
			d.log.Error().Err(verr).Msg("dropped an event that nobody could read")
			return
		}
		if !queue.Pause(ctx, backoff(n)) {
			return
		}
	}
}
