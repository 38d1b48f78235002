package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	latencyTime = 10 * time.Second // for which hooks come at half the peak
	mostLatency = 50               // milliseconds
)

// intakeP99 takes how long a webhook waits for its answer where half as many come as are taken of 64 clients at the most,
// from the moment when it is due, so that those that wait for others count with all of it.
func intakeP99(ctx context.Context, o options) (_ Figure, err error) {
	p, err := startIntake(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var rates []float64
	for range 5 {
		hooks, err := p.hooks(intakeBatch, genericHook)
		if err != nil {
			return Figure{}, err
		}
		start := time.Now()
		if err := hooks(ctx, intakeBatch, intakeAtOnce); err != nil {
			return Figure{}, err
		}
		rates = append(rates, intakeBatch/time.Since(start).Seconds())
	}
	peak := slices.Max(rates)
	took, err := p.paced(ctx, peak/2)
	if err != nil {
		return Figure{}, err
	}
	slices.Sort(took)
	p99 := float64(took[len(took)*99/100]) / float64(time.Millisecond)
	fmt.Fprintf(o.log, "bench: %d hooks at %.0f a second, median %v\n", len(took), peak/2, took[len(took)/2])
	return Figure{
		Name: "intake_p99_ms", Value: p99, Unit: "ms", Peer: "the target", PeerValue: mostLatency, Ratio: p99 / mostLatency,
		Target: fmt.Sprintf("at most %d", mostLatency), Met: p99 <= mostLatency,
	}, nil
}

// paced sends hooks at a rate, each when it is due, and returns what each took from then on.
func (p *intakeRig) paced(ctx context.Context, rate float64) ([]time.Duration, error) {
	n := int(rate * latencyTime.Seconds())
	requests := make([][]byte, n)
	for i := range requests {
		p.pushes++
		path, hook := genericHook(intakeRepository(i%intakePipelines), fmt.Sprintf("%040x", p.pushes))
		var err error
		if requests[i], err = written(p.address+path, hook); err != nil {
			return nil, err
		}
	}
	return pacedBy(ctx, p.address, requests, time.Duration(float64(time.Second)/rate))
}

func pacedBy(ctx context.Context, address string, requests [][]byte, every time.Duration) ([]time.Duration, error) {
	lines := lines{address: address, want: http.StatusAccepted, idle: make(chan *line, len(requests))}
	defer lines.close()
	took := make([]time.Duration, len(requests))
	var lock sync.Mutex
	var all errgroup.Group
	start := time.Now()
	for i, request := range requests {
		due := start.Add(time.Duration(i) * every)
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil, errors.Join(context.Cause(ctx), all.Wait())
			}
		}
		all.Go(func() error {
			err := lines.send(ctx, request)
			lock.Lock()
			defer lock.Unlock()
			took[i] = time.Since(due)
			return err
		})
	}
	return took, all.Wait()
}
