package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/demo/site"
)

// The recoveries. Each is taken a few times, with the defaults of the roles, and the slowest
// counts: it is a bound that people rely on.

// recoveryRounds is how often a recovery that takes a few seconds is taken.
const recoveryRounds = 5

// recoveryFigure makes the figure of some recoveries.
func recoveryFigure(o options, name string, took []time.Duration, most time.Duration) Figure {
	fmt.Fprintf(o.log, "bench: %s: %v\n", name, took)
	worst := slices.Max(took).Seconds()
	return Figure{
		Name: name, Value: worst, Unit: "s", Peer: "the target", PeerValue: most.Seconds(), Ratio: worst / most.Seconds(),
		Target: fmt.Sprintf("at most %.0f", most.Seconds()), Met: worst <= most.Seconds(),
	}
}

// again takes a recovery several times. The first round, which finds everything cold, counts too.
func again(ctx context.Context, n int, once func(context.Context) (time.Duration, error)) ([]time.Duration, error) {
	var took []time.Duration
	for range n {
		d, err := once(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// step waits for a step of a build.
func (a *apart) step(ctx context.Context, build, step string) (site.Line, error) {
	return a.await(ctx, func(l site.Line) bool { return l.Build == build && l.Step == step })
}

// recoveryBuilder takes the time from the kill of a builder in the middle of a RUN step until
// the other one has claimed the build, which then has to succeed.
func recoveryBuilder(ctx context.Context, o options) (_ Figure, err error) {
	a, err := startApart(ctx, o, "killed", "", 2)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	repo, err := a.repository(ctx, "killed", "COPY seed /seed\nRUN echo asleep && sleep 5\n")
	if err != nil {
		return Figure{}, err
	}
	seed := seeds()
	took, err := again(ctx, 3, func(ctx context.Context) (time.Duration, error) { return a.killBuilder(ctx, repo, seed()) })
	if err != nil {
		return Figure{}, err
	}
	return recoveryFigure(o, "recovery_builder_s", took, builds.DefaultAckWait+2*time.Second), nil
}

func (a *apart) killBuilder(ctx context.Context, repo *site.Repository, seed string) (time.Duration, error) {
	build, err := a.push(ctx, repo, seed)
	if err != nil {
		return 0, err
	}
	claimed, err := a.step(ctx, build, "claimed")
	if err != nil {
		return 0, err
	}
	victim, other := "builder-1", "builder-2"
	if strings.Contains(claimed.Text, other) {
		victim, other = other, victim
	}
	if err := site.Until(ctx, func(ctx context.Context) error {
		out, err := a.Run(ctx, "logs", build)
		if err == nil && !strings.Contains(out, " asleep") {
			err = fmt.Errorf("the RUN step has not begun: %s", out)
		}
		return err
	}); err != nil {
		return 0, err
	}
	a.roles[victim].Kill()
	start := time.Now()
	_, err = a.step(ctx, build, "claimed")
	took := time.Since(start)
	if err == nil {
		err = a.runsOn(ctx, build, other, 2)
	}
	if err == nil {
		_, err = a.step(ctx, build, "announced")
	}
	if err != nil {
		return 0, err
	}
	return took, a.startRole(ctx, victim)
}

// runsOn sees that a build's record says where it runs.
func (a *apart) runsOn(ctx context.Context, build, worker string, attempt int) error {
	var builds []struct {
		Build, State, Worker string
		Attempt              int
	}
	if err := a.JSON(ctx, &builds, "builds"); err != nil {
		return err
	}
	for _, b := range builds {
		if b.Build == build && b.State == "running" && b.Worker == worker && b.Attempt == attempt {
			return nil
		}
	}
	return fmt.Errorf("build %s does not run on %s: %+v", build, worker, builds)
}

// recoveryController takes the time from the kill of the acting controller until the other one
// has flipped the fleet's image. The quorum is there before: what is missing is a person's
// word, which is given as soon as the controller is dead.
func recoveryController(ctx context.Context, o options) (Figure, error) {
	return flipAfter(ctx, o, "recovery_controller_s", 10*time.Second, (*apart).killController)
}

// recoveryNATS takes the time from the start of a NATS that was killed, on its store, until a
// flip. The quorum was there before the kill, but no heartbeat counts any more after so long;
// a person's word is missing too, which is given as soon as it is taken.
func recoveryNATS(ctx context.Context, o options) (Figure, error) {
	return flipAfter(ctx, o, "recovery_nats_s", 10*time.Second, (*apart).killNATS)
}

// flipAfter takes the time from a breakdown, which breakdown causes and returns the beginning of,
// until the flip of an image that waited for approval before it.
func flipAfter(ctx context.Context, o options, name string, most time.Duration, breakdown func(*apart, context.Context) (time.Time, func() error, error)) (_ Figure, err error) {
	a, err := startApart(ctx, o, "flip", "approval: true", 1)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	repo, err := a.repository(ctx, "flip", "COPY seed /seed\n")
	if err != nil {
		return Figure{}, err
	}
	seed := seeds()
	took, err := again(ctx, recoveryRounds, func(ctx context.Context) (time.Duration, error) {
		build, err := a.push(ctx, repo, seed())
		if err != nil {
			return 0, err
		}
		if _, err := a.await(ctx, func(l site.Line) bool { return l.Build == build && l.State == "approval" }); err != nil {
			return 0, err
		}
		start, mend, err := breakdown(a, ctx)
		if err != nil {
			return 0, err
		}
		if err := site.Until(ctx, func(ctx context.Context) error {
			_, err := a.Run(ctx, "approve", fleet+"-"+build)
			return err
		}); err != nil {
			return 0, err
		}
		_, err = a.step(ctx, build, "flipped")
		return time.Since(start), errors.Join(err, mend())
	})
	if err != nil {
		return Figure{}, err
	}
	return recoveryFigure(o, name, took, most), nil
}

// killController kills the acting controller.
func (a *apart) killController(ctx context.Context) (time.Time, func() error, error) {
	victim, err := a.acting()
	if err != nil {
		return time.Time{}, nil, err
	}
	a.roles[victim].Kill()
	return time.Now(), func() error { return a.startRole(ctx, victim) }, nil
}

// outage is longer than a heartbeat counts.
const outage = 35 * time.Second

// killNATS kills NATS and starts it again after an outage.
func (a *apart) killNATS(ctx context.Context) (time.Time, func() error, error) {
	a.nats.Kill()
	over := time.NewTimer(outage)
	defer over.Stop()
	for _, p := range a.roles {
		if err := site.Until(ctx, func(context.Context) error { return lost(p) }); err != nil {
			return time.Time{}, nil, err
		}
	}
	select {
	case <-over.C:
	case <-ctx.Done():
		return time.Time{}, nil, context.Cause(ctx)
	}
	start := time.Now()
	return start, func() error { return nil }, a.startNATS()
}

// push pushes a commit of its own and returns the build that it started.
func (a *apart) push(ctx context.Context, repo *site.Repository, seed string) (string, error) {
	commit, err := a.commit(ctx, repo, seed)
	if err != nil {
		return "", err
	}
	return a.send(ctx, repo.URL, commit)
}

// lost tells whether a role has noticed, as often as it was reached before, that NATS is gone.
func lost(p *site.Process) error {
	out := p.Output()
	if strings.Count(out, "connection to NATS lost") > strings.Count(out, "connected to NATS again") {
		return nil
	}
	return fmt.Errorf("it has not noticed that NATS is gone:\n%s", p.Tail(5))
}
