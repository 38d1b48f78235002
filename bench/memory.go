package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// How memory is looked at: the highest of observe counts, after a `fenceline up` was left alone
// for settle, and after a distributor has sent an hour's heartbeats, one every beatInterval.
const (
	settle       = 20 * time.Second
	observe      = 10 * time.Second
	beatInterval = 100 * time.Millisecond
	hourOfBeats  = 360 // one every 10 seconds, which is the default of --interval
	beatsTimeout = 5 * time.Minute
)

// idleUp takes the memory of `fenceline up` itself: buildkitd is a process of its own.
func idleUp(ctx context.Context, o options) (_ Figure, err error) {
	r, err := start(ctx, o, []string{"idle"}, "idle")
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := watch(ctx, r.up, settle, func() error { return nil }); err != nil {
		return Figure{}, err
	}
	return resident(ctx, "idle_rss_mb", r.up, 70)
}

// idleDistributor takes that of a distributor that runs alone and has sent an hour's heartbeats.
func idleDistributor(ctx context.Context, o options) (_ Figure, err error) {
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
	p, err := b.role(o.program, "distributor", "--fleet", fleet, "--node", "bench", "--interval", beatInterval.String())
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.Stop(stopTimeout)) }()
	if err := hourBeaten(ctx, c, p); err != nil {
		return Figure{}, err
	}
	return resident(ctx, "idle_rss_distributor_mb", p, 18)
}

// hourBeaten waits until NATS has stored an hour's heartbeats of the node. Nobody else writes to
// the bucket, so its revision counts them.
func hourBeaten(ctx context.Context, c *queue.Client, p *site.Process) error {
	var stored uint64
	err := watch(ctx, p, beatsTimeout, func() error {
		e, err := store.Nodes(c).Get(ctx, messages.NodeKey(fleet, "bench"))
		if errors.Is(err, queue.ErrNotFound) {
			return nil
		}
		if stored = e.Revision; stored >= hourOfBeats {
			return errEnough
		}
		if err == nil && e.Value.Engine.Error != "" {
			return fmt.Errorf("the distributor can't look at its Docker engine: %s", e.Value.Engine.Error)
		}
		return err
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("of %d heartbeats only %d are stored after %v:\n%s", hourOfBeats, stored, beatsTimeout, p.Tail(15))
	}
	return err
}

// errEnough ends a watch that has seen what it waited for.
var errEnough = errors.New("enough was seen")

// resident is the highest of a process's memory within observe.
func resident(ctx context.Context, name string, p *site.Process, most float64) (Figure, error) {
	highest := 0.0
	err := watch(ctx, p, observe, func() error {
		rss, err := residentMB(p.PID())
		highest = max(highest, rss)
		return err
	})
	return Figure{
		Name: name, Value: highest, Unit: "MB", Peer: "the target", PeerValue: most, Ratio: highest / most,
		Target: fmt.Sprintf("at most %.0f", most), Met: highest <= most,
	}, err
}

// watch looks at a process every second for as long as it is told, or until look fails.
func watch(ctx context.Context, p *site.Process, long time.Duration, look func() error) error {
	end := time.NewTimer(long)
	defer end.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-end.C:
			return nil
		case <-p.Done():
			return fmt.Errorf("the process ended:\n%s", p.Tail(15))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := look(); err != nil {
			return err
		}
	}
}

// residentMB is VmRSS of proc_pid_status(5), in 10^6 bytes.
func residentMB(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading a process's memory: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("process %d shows no VmRSS", pid)
}
