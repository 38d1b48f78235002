package distributor

import (
	"context"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
)

// FieldInterval is the field that errors name which another interval mends.
const FieldInterval = "Interval"

// CheckInterval refuses an interval at which one late heartbeat makes a node that is up look gone: NATS
// forgets each after nodeTTL. 0 is a time that is not known.
func CheckInterval(interval, nodeTTL time.Duration) error {
	if nodeTTL == 0 || interval <= nodeTTL/2 {
		return nil
	}
	return &queue.FieldError{Fields: []string{FieldInterval}, Err: fmt.Errorf(
		"heartbeats every %s: they are kept for %s, so that the node would come and go: send them every %s or more often, or have them kept for longer",
		interval, nodeTTL, nodeTTL/2)}
}

// checkInterval looks whether this node's interval suits the record that it adopts. With the first one it is
// refused; one that changes later is told, as the node does its part meanwhile. The caller holds mu.
func (d *Distributor) checkInterval(nodeTTL time.Duration) {
	err := CheckInterval(d.cfg.Interval, nodeTTL)
	switch {
	case err == nil || d.refuse != nil:
	case d.record == nil:
		d.refuse = fmt.Errorf("node %s: %w", d.cfg.Node, err)
		close(d.refused)
	case d.record.Record.NodeTTL.Std() != nodeTTL:
		d.log.Error().Err(err).Msg("the node will come and go: start it with a shorter interval")
	}
}

// awaitRefusal waits until the node is refused, and returns why.
func (d *Distributor) awaitRefusal(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.refused:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refuse
}
