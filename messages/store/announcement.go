package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Believe returns the fleets that an announced image is for, or why the announcement is not to be acted on: it
// has to be what the build's record and the request, each under a subject of its own, say. Else whoever may
// announce an image could flip any fleet to any, or block the fleet with an order that none will reach.
func Believe(ctx context.Context, c *queue.Client, m *messages.ImageReady) ([]messages.FleetTarget, error) {
	e, err := Builds(c).Current(ctx, m.Build)
	switch r := e.Value; {
	case errors.Is(err, queue.ErrNotFound):
		return nil, Disbelieved(m.BuildRef, "the build has no record")
	case errors.Is(err, messages.ErrMalformed):
		return nil, Disbelieved(m.BuildRef, err.Error())
	case err != nil:
		return nil, err
	case r.State != messages.BuildStateSucceeded:
		return nil, Disbelieved(m.BuildRef, fmt.Sprintf("the build's record says %s", r.State))
	case r.Image != m.Image:
		return nil, Disbelieved(m.BuildRef, fmt.Sprintf("it names %s, the build's record %s", m.Image, r.Image))
	default:
		return BelieveRecord(ctx, c, m.BuildRef, &r, m.Fleets)
	}
}

// BelieveRecord holds what a build says of itself against its record and its request, and returns the fleets that it
// is for with the policies of the request: a builder of another version may not know all of a policy.
func BelieveRecord(ctx context.Context, c *queue.Client, b messages.BuildRef, r *messages.BuildRecord, fleets []messages.FleetTarget) ([]messages.FleetTarget, error) {
	if r.BuildRef != b {
		return nil, Disbelieved(b, fmt.Sprintf("it says order %d of pipeline %s, the build's record order %d of %s", b.Order, b.Pipeline, r.Order, r.Pipeline))
	}
	info, err := c.Info(ctx, c.Space().RequestsStream())
	if err != nil {
		return nil, err
	}
	if b.Order == 0 || b.Order > info.Last {
		return nil, Disbelieved(b, fmt.Sprintf("no request has order %d: the last one that was given is %d", b.Order, info.Last))
	}
	request, known, err := requestAt(ctx, c, max(r.Request, 1))
	if errors.Is(err, queue.ErrNotFound) {
		request, known, err = kept(ctx, c, b, r)
	}
	switch {
	case err != nil:
		return nil, err
	case request == nil || request.BuildRef() != b:
		return nil, Disbelieved(b, fmt.Sprintf("request %d, which its record names, asks for something else", r.Request))
	case !known:
		return fleets, nil
	case !slices.EqualFunc(fleets, request.Pipeline.Fleets, func(a, b messages.FleetTarget) bool { return a.Fleet == b.Fleet }):
		return nil, Disbelieved(b, "it names other fleets than the request")
	}
	return request.Pipeline.Fleets, nil
}

// requestAt reads the request at a sequence: nil where something else is there. known tells whether this version
// knows all of it, or only what every version has. queue.ErrNotFound where nothing is there any more.
func requestAt(ctx context.Context, c *queue.Client, sequence uint64) (request *messages.BuildRequested, known bool, err error) {
	m, err := c.At(ctx, c.Space().RequestsStream(), sequence)
	if err != nil {
		return nil, false, err
	}
	found, err := c.Decode(m)
	if err != nil {
		return nil, false, nil //nolint:nilerr // nothing that could be read becomes a request later
	}
	request, _ = found.Payload.(*messages.BuildRequested)
	return request, found.Newer == "", nil
}

// kept is requestAt for a request that was settled and cleared from its stream: its build's record keeps it. That is
// the builder's word, but the request that its order is of, where that is still there, must bear it out: it is
// the build's own or, for a retry, the one that is retried.
func kept(ctx context.Context, c *queue.Client, b messages.BuildRef, r *messages.BuildRecord) (request *messages.BuildRequested, known bool, err error) {
	if r.Asked == nil {
		return nil, false, Disbelieved(b, "its request is not stored any more, and its record keeps none: submit the pipeline again")
	}
	_, p, newer, err := messages.DecodeStored(*r.Asked, r.Request)
	request, ok := p.(*messages.BuildRequested)
	if err != nil || !ok {
		return nil, false, Disbelieved(b, "its request is not stored any more, and what its record keeps can't be read")
	}
	first, _, err := requestAt(ctx, c, b.Order)
	if errors.Is(err, queue.ErrNotFound) {
		return request, newer == "", nil
	}
	if err == nil && (first == nil || first.Pipeline.Name != b.Pipeline || first.Build != b.Build && request.Cause != messages.CauseRetry) {
		err = Disbelieved(b, fmt.Sprintf("the request that has order %d asks for something else", b.Order))
	}
	return request, newer == "", err
}

// Disbelieved is a failure that trying again can't mend.
func Disbelieved(b messages.BuildRef, why string) error {
	return queue.Permanent(fmt.Errorf("what is announced of build %s is not believed: %s", b.Build, why))
}
