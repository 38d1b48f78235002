package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	memoryHooks = 1_000_000
	memoryBatch = 20_000 // of them, after which the stream is cleared as builders would
	memoryIdle  = 10_000 // connections
	memoryMost  = 120    // MB
)

// producerMemory takes the memory of a producer after a million webhooks, and then with 10,000 connections that send nothing.
func producerMemory(ctx context.Context, o options) (_ Figure, err error) {
	p, err := startIntake(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	began := time.Now()
	for sent := 0; sent < memoryHooks; sent += memoryBatch {
		hooks, err := p.hooks(memoryBatch, genericHook)
		if err == nil {
			err = hooks(ctx, memoryBatch, intakeAtOnce)
		}
		if err == nil {
			err = p.clear(ctx)
		}
		if err != nil {
			return Figure{}, err
		}
		if (sent/memoryBatch)%10 == 0 {
			rss, err := residentMB(p.producer.PID())
			if err != nil {
				return Figure{}, err
			}
			fmt.Fprintf(o.log, "bench: %d hooks in %v, %.0f MB\n", sent+memoryBatch, time.Since(began).Round(time.Second), rss)
		}
	}
	after, err := resident(ctx, "producer_rss_mb", p.producer, memoryMost)
	if err != nil {
		return Figure{}, err
	}
	idle, err := connections(ctx, p.address, memoryIdle)
	defer func() {
		for _, c := range idle {
			_ = c.Close()
		}
	}()
	if err != nil {
		return Figure{}, err
	}
	beside, err := resident(ctx, "producer_rss_mb", p.producer, memoryMost)
	fmt.Fprintf(o.log, "bench: %.0f MB after %d hooks, %.0f MB beside %d idle connections\n", after.Value, memoryHooks, beside.Value, len(idle))
	if after.Value > beside.Value {
		return after, err
	}
	return beside, err
}

// clear removes all but the last request of each pipeline, as a sweep does once builders are done with them.
func (p *intakeRig) clear(ctx context.Context) error {
	c, err := p.broker.connect(ctx, messages.DefaultPrefix)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range intakePipelines {
		subject := c.Space().AnyRequest(fmt.Sprintf("pipeline-%d", i))
		last, err := c.Last(ctx, c.Space().RequestsStream(), subject)
		if err != nil {
			return err
		}
		if _, err := c.Purge(ctx, c.Space().RequestsStream(), subject, last.Sequence); err != nil {
			return err
		}
	}
	return nil
}

// connections opens so many, of which a producer closes those beyond its bound.
func connections(ctx context.Context, address string, n int) ([]net.Conn, error) {
	var all []net.Conn
	var d net.Dialer
	for range n {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return all, fmt.Errorf("connecting to the producer for the %dth time: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	return all, nil
}
