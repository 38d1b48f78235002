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
)

// An idle process is left alone for settle, then looked at for observe; its highest counts.
const (
	settle  = 20 * time.Second
	observe = 10 * time.Second
)

// idleUp takes the memory of `fenceline up` itself: buildkitd is a process of its own.
func idleUp(ctx context.Context, o options) (_ Figure, err error) {
	r, err := start(ctx, o, []string{"idle"}, "idle")
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return idle(ctx, "idle_rss_mb", r.up, 90)
}

// idleDistributor takes that of a distributor that runs alone.
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
	p, err := b.role(o.program, "distributor", "--fleet", fleet, "--node", "bench")
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.Stop(stopTimeout)) }()
	return idle(ctx, "idle_rss_distributor_mb", p, 25)
}

func idle(ctx context.Context, name string, p *site.Process, most float64) (Figure, error) {
	end := time.Now().Add(settle + observe)
	from := time.Now().Add(settle)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	highest := 0.0
	for time.Now().Before(end) {
		select {
		case <-tick.C:
		case <-p.Done():
			return Figure{}, fmt.Errorf("the process ended:\n%s", p.Tail(15))
		case <-ctx.Done():
			return Figure{}, context.Cause(ctx)
		}
		rss, err := residentMB(p.PID())
		if err != nil {
			return Figure{}, err
		}
		if time.Now().After(from) {
			highest = max(highest, rss)
		}
	}
	return Figure{
		Name: name, Value: highest, Unit: "MB", Peer: "the target", PeerValue: most, Ratio: highest / most,
		Target: fmt.Sprintf("at most %.0f", most), Met: highest <= most,
	}, nil
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
