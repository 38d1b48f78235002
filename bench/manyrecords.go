package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"golang.org/x/sync/errgroup"
)

// What an installation has that has run for long, in the figures of commands and of the sweep.
const (
	commandBuilds   = 10_000
	commandRollouts = 1_000
	commandRuns     = 7
	sweepBuilds     = 100_000
	sweepLong       = 3 * time.Minute // six sweeps, the first after a start with all of it included
	recordBytes     = 12_500          // of a build's record with its request and its outcome
	recordsAtOnce   = 64
)

// commandsTook takes the slowest of the commands that show what is there, from start to end, with so many
// ended builds and rollouts in the records.
func commandsTook(ctx context.Context, o options) (_ Figure, err error) {
	b, c, err := filled(ctx, o, commandBuilds, commandRollouts)
	if err != nil {
		return Figure{}, err
	}
	defer func() { c.Close(); err = errors.Join(err, b.close()) }()
	slowest := 0.0
	for _, command := range []string{"status", "builds", "rollouts"} {
		var took []float64
		for range commandRuns {
			cmd := exec.CommandContext(ctx, o.program, command, "--nats", b.nats.URL(), "--user", brokerUser, "--password-file", b.passwordFile)
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return Figure{}, fmt.Errorf("fenceline %s: %w\n%s", command, err, out)
			}
			took = append(took, float64(time.Since(began).Microseconds())/1000)
		}
		fmt.Fprintf(o.log, "bench: %s took %.0f ms\n", command, took)
		slowest = max(slowest, median(took))
	}
	return Figure{
		Name: "commands_10000_ms", Value: slowest, Unit: "ms", Peer: "the target", PeerValue: 300, Ratio: slowest / 300,
		Target: "at most 300", Met: slowest <= 300,
	}, nil
}

// producerIdle takes the processor time of a producer that nobody asks for anything, its start included, with
// so many ended builds in the records.
func producerIdle(ctx context.Context, o options) (_ Figure, err error) {
	b, c, err := filled(ctx, o, sweepBuilds, 0)
	if err != nil {
		return Figure{}, err
	}
	defer func() { c.Close(); err = errors.Join(err, b.close()) }()
	config := filepath.Join(b.dir, "fenceline.yaml")
	if err := os.WriteFile(config, []byte("version: 1\npipelines: []\n"), 0o600); err != nil {
		return Figure{}, fmt.Errorf("writing the pipeline file: %w", err)
	}
	address, err := site.Address("127.0.0.1:0")
	if err != nil {
		return Figure{}, err
	}
	p, err := b.role(o.program, "producer", "--config", config, "--listen", address)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.Stop(stopTimeout)) }()
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := site.Ready(ready, p, "http://"+address); err != nil {
		return Figure{}, fmt.Errorf("waiting for the producer: %w\n%s", err, p.Tail(15))
	}
	if err := watch(ctx, p, sweepLong, func() error { return nil }); err != nil {
		return Figure{}, err
	}
	used, err := processorTime(p.PID())
	share := 100 * used.Seconds() / sweepLong.Seconds()
	return Figure{
		Name: "producer_idle_cpu", Value: share, Unit: "% of a core", Peer: "the target", PeerValue: 1, Ratio: share,
		Target: "at most 1", Met: share <= 1,
	}, err
}

// filled is a NATS server with records.
func filled(ctx context.Context, o options, builds, rollouts int) (*broker, *queue.Client, error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	c, err := b.connect(ctx, "")
	if err == nil {
		err = fill(ctx, c, builds, rollouts)
	}
	if err != nil {
		if c != nil {
			c.Close()
		}
		return nil, nil, errors.Join(err, b.close())
	}
	return b, c, nil
}

// fill writes the records of ended builds and rollouts, as they are after that many, and the builds' last events.
func fill(ctx context.Context, c *queue.Client, builds, rollouts int) error {
	writers, ctx := errgroup.WithContext(ctx)
	writers.SetLimit(recordsAtOnce)
	for n := range builds {
		writers.Go(func() error { return fillBuild(ctx, c, n+1) })
	}
	for n := range rollouts {
		writers.Go(func() error {
			ready := endedImage(n + 1)
			r := messages.RolloutRecord{
				ID: messages.RolloutID(fleet, ready.Build), Fleet: fleet, Ready: *ready, Policy: messages.DefaultPolicy(),
				State: messages.RolloutDone, Why: "done", Opened: ready.Received, Updated: ready.Received,
			}
			_, err := store.Rollouts(c).Create(ctx, r.ID, r)
			return err
		})
	}
	if err := writers.Wait(); err != nil {
		return fmt.Errorf("filling the records: %w", err)
	}
	return nil
}

// endedImage is what the n-th build made.
func endedImage(n int) *messages.ImageReady {
	image := messages.Image("registry.example.com/ops/base@sha256:" + fmt.Sprintf("%064x", n))
	return &messages.ImageReady{
		BuildRef: messages.BuildRef{Build: fmt.Sprintf("base-%08d", n), Pipeline: "base", Order: uint64(n)},
		Image:    image, Tag: "t", Commit: fmt.Sprintf("%040x", n), HooksDir: messages.DefaultHooksDir,
		Bases: []messages.PinnedBase{{Source: "docker.io/library/debian:12", Image: image}}, Received: time.Now().UTC(),
	}
}

func fillBuild(ctx context.Context, c *queue.Client, n int) error {
	ready := endedImage(n)
	outcome, err := messages.Encode(c.Envelope(ready.Build, ""), ready)
	if err != nil {
		return err
	}
	asked := messages.Message{Headers: outcome.Headers, Body: []byte(`"` + strings.Repeat("x", recordBytes-2_000) + `"`)}
	r := messages.BuildRecord{
		BuildRef: ready.BuildRef, State: messages.BuildStateSucceeded, Attempt: 1, Worker: "builder", Request: uint64(n),
		Commit: ready.Commit, Image: ready.Image, Tag: ready.Tag, Received: ready.Received, Updated: ready.Received,
		Outcome: &outcome, Announced: true, Asked: &asked,
	}
	if _, err := store.Builds(c).Create(ctx, r.Build, r); err != nil {
		return err
	}
	return c.Publish(ctx, "", ready)
}

// processorTime is utime and stime of proc_pid_stat(5), in ticks of a hundredth of a second.
func processorTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading a process's time: %w", err)
	}
	_, after, _ := strings.Cut(string(b), ") ") // the program's name may have blanks
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d shows no times: %q", pid, b)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading a process's time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
