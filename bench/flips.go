package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// flipRounds is how often a flip is taken, beside the store's own write.
const flipRounds = 25

// flipTimeout bounds one flip. The first waits for a controller that has just started.
const flipTimeout = 30 * time.Second

// fenceStore is a place where a fence config can live, as a figure of flips needs it.
type fenceStore struct {
	figure string
	peer   string   // the store's own command
	args   []string // of a controller, that name the store
	reads  func(ctx context.Context, image string) error
	write  func(ctx context.Context, image string) (time.Duration, error) // by the command, until another client reads it
}

// flips takes the time from a decision until another client of the store reads the value, beside a write by
// the store's own command. A real controller drives the store; the decision is the write of the fleet's
// record, as every command and every rollout makes it, and counts.
func flips(ctx context.Context, o options, s fenceStore) (_ Figure, err error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	c, err := b.connect(ctx, "")
	if err != nil {
		return Figure{}, err
	}
	defer c.Close()
	p, err := b.role(o.program, "controller", s.args...)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.Stop(stopTimeout)) }()
	n := 0
	next := func() string {
		n++
		return fmt.Sprintf("registry.example.com/bench/app@sha256:%064x", n)
	}
	ours := func(ctx context.Context) (time.Duration, error) {
		took, err := flip(ctx, c, next(), s.reads)
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, p.Tail(15))
		}
		return took, err
	}
	took, peer, err := pairs(ctx, flipRounds, ours, func(ctx context.Context) (time.Duration, error) { return s.write(ctx, next()) })
	if err != nil {
		return Figure{}, err
	}
	fmt.Fprintf(o.log, "bench: %s %v, %s %v\n", s.figure, took, s.peer, peer)
	ratio := median(ratios(took, peer))
	return Figure{
		Name: s.figure, Value: milliseconds(median(took)), Unit: "ms", Peer: s.peer, PeerValue: milliseconds(median(peer)), Ratio: ratio,
		Target: "at most 3 times its peer", Met: ratio <= 3,
	}, nil
}

// flip decides for an image, and waits until it is read; then, outside the time that is taken, until the
// controller has noted it, so that the next flip meets one that rests.
func flip(ctx context.Context, c *queue.Client, image string, reads func(context.Context, string) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, flipTimeout, errors.New("the controller did not flip"))
	defer cancel()
	records := queue.NewRecords[messages.FleetRecord](c, c.Space().FleetsBucket(), "*")
	began := time.Now()
	decided, err := decide(ctx, records, image)
	if err == nil {
		err = reads(ctx, image)
	}
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	return took, site.Until(ctx, func(ctx context.Context) error {
		e, err := records.Get(ctx, fleet)
		if err == nil && e.Value.Applied.Epoch != decided {
			err = fmt.Errorf("the controller has noted epoch %d of %d: %s", e.Value.Applied.Epoch, decided, e.Value.Applied.Error)
		}
		return err
	})
}

// decide makes an image the current one, and returns the epoch of that.
func decide(ctx context.Context, records *queue.Records[messages.FleetRecord], image string) (uint64, error) {
	e, err := records.Modify(ctx, fleet, func(r *messages.FleetRecord) error {
		if r.Fleet == "" {
			r.Fleet, r.ID = fleet, messages.NewID()
		}
		r.Epoch++
		r.Decision = messages.NewID()
		r.Previous, r.Current = r.Current, messages.FleetImage{Image: messages.Image(image)}
		return nil
	})
	return e.Value.Epoch, err
}

// reader waits for a text that names an image, among those that come through a channel.
func reader(texts <-chan string) func(context.Context, string) error {
	return func(ctx context.Context, image string) error {
		for {
			select {
			case text, ok := <-texts:
				if !ok {
					return errors.New("the store's reader has ended")
				}
				if strings.Contains(text, image) {
					return nil
				}
			case <-ctx.Done():
				return fmt.Errorf("waiting for the value: %w", context.Cause(ctx))
			}
		}
	}
}
