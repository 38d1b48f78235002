package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/demo/site"
)

// metricsOverhead takes how many webhooks a second of 64 clients a producer accepts that has metrics, against one that has none,
// each over a NATS server of its own. Nobody scrapes meanwhile.
func metricsOverhead(ctx context.Context, o options) (_ Figure, err error) {
	health, err := site.Address("127.0.0.1:0")
	if err != nil {
		return Figure{}, err
	}
	with, err := startIntake(ctx, o, "--health-listen", health)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, with.close()) }()
	without, err := startIntake(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, without.close()) }()
	f := Figure{Name: "metrics_overhead_ratio", Target: "at least 0.97", Peer: "hooks a second without metrics"}
	f, err = intakeRoundsOf(ctx, o, f, intakeAtOnce, 0.97, func(n int) (ours, peer load, err error) {
		if ours, err = with.hooks(n, genericHook); err != nil {
			return nil, nil, err
		}
		peer, err = without.hooks(n, genericHook)
		return ours, peer, err
	})
	if err != nil {
		return f, fmt.Errorf("comparing a producer with metrics and one without: %w", err)
	}
	return f, nil
}
