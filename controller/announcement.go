package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// believe tells why an announced image is not to be acted on, or nil: it has to be what the build's
// record and the request, each under a subject of its own, say. Else whoever may announce an image
// could flip any fleet to any, or block the fleet with an order that none will reach.
func (c *Controller) believe(ctx context.Context, m *messages.ImageReady) error {
	e, err := store.Builds(c.Queue).Current(ctx, m.Build)
	switch r := e.Value; {
	case errors.Is(err, queue.ErrNotFound):
		return disbelieved(m.BuildRef, "the build has no record")
	case errors.Is(err, messages.ErrMalformed):
		return disbelieved(m.BuildRef, err.Error())
	case err != nil:
		return err
	case r.State != messages.BuildStateSucceeded:
		return disbelieved(m.BuildRef, fmt.Sprintf("the build's record says %s", r.State))
	case r.Image != m.Image:
		return disbelieved(m.BuildRef, fmt.Sprintf("it names %s, the build's record %s", m.Image, r.Image))
	default:
		return c.asked(ctx, m.BuildRef, r, m.Fleets)
	}
}

// asked holds what a build says of itself against its record and its request. A request that is settled
// may have been cleared from its stream: then the order that the record has must be one that was given.
func (c *Controller) asked(ctx context.Context, b messages.BuildRef, r messages.BuildRecord, fleets []messages.FleetTarget) error {
	if r.BuildRef != b {
		return disbelieved(b, fmt.Sprintf("it says order %d of pipeline %s, the build's record order %d of %s", b.Order, b.Pipeline, r.Order, r.Pipeline))
	}
	requests := c.Queue.Space().RequestsStream()
	info, err := c.Queue.Info(ctx, requests)
	if err != nil {
		return err
	}
	if b.Order == 0 || b.Order > info.Last {
		return disbelieved(b, fmt.Sprintf("no request has order %d: the last one that was given is %d", b.Order, info.Last))
	}
	m, err := c.Queue.At(ctx, requests, max(r.Request, 1))
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	found, err := c.Queue.Decode(m)
	request, ok := found.Payload.(*messages.BuildRequested)
	switch {
	case err != nil || !ok || request.BuildRef() != b:
		return disbelieved(b, fmt.Sprintf("request %d, which its record names, asks for something else", r.Request))
	case found.Newer == "" && !sameTargets(fleets, request.Pipeline.Fleets):
		return disbelieved(b, "it names other fleets, or another policy, than the request")
	}
	return nil
}

// sameTargets tells whether an image is for the fleets that were asked for, by the policy that was.
func sameTargets(a, b []messages.FleetTarget) bool {
	if len(a)+len(b) == 0 {
		return true
	}
	first, errA := json.Marshal(a)
	second, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(first, second)
}

// disbelieved is a failure that trying again can't mend.
func disbelieved(b messages.BuildRef, why string) error {
	return queue.Permanent(fmt.Errorf("what is announced of build %s is not believed: %s", b.Build, why))
}
