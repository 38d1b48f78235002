package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue"
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
func again(ctx context.Context, n int, once func(context.Context, int) (time.Duration, error)) ([]time.Duration, error) {
	var took []time.Duration
	for i := range n {
		d, err := once(ctx, i)
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
	took, err := again(ctx, 3, func(ctx context.Context, _ int) (time.Duration, error) { return a.killBuilder(ctx, repo, seed()) })
	if err != nil {
		return Figure{}, err
	}
	return recoveryFigure(o, "recovery_builder_s", took, queue.DefaultAckWait+2*time.Second), nil
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
	taken, err := a.step(ctx, build, "claimed")
	took := time.Since(start)
	if err == nil && !strings.Contains(taken.Text, other+", attempt 2") {
		err = fmt.Errorf("%s was killed, and then the build was %s", victim, taken.Text)
	}
	if err == nil {
		_, err = a.step(ctx, build, "announced")
	}
	if err != nil {
		return 0, err
	}
	return took, a.startRole(ctx, victim)
}

// recoveryController takes the time from the kill of the acting controller until the other one
// has flipped the fleet's image. The quorum is there before: what is missing is a person's
// word, which is given as soon as the controller is dead.
func recoveryController(ctx context.Context, o options) (_ Figure, err error) {
	a, err := startApart(ctx, o, "lead", "approval: true", 1)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	repo, err := a.repository(ctx, "lead", "COPY seed /seed\n")
	if err != nil {
		return Figure{}, err
	}
	seed := seeds()
	took, err := again(ctx, recoveryRounds, func(ctx context.Context, _ int) (time.Duration, error) {
		return a.killController(ctx, repo, seed())
	})
	if err != nil {
		return Figure{}, err
	}
	return recoveryFigure(o, "recovery_controller_s", took, 10*time.Second), nil
}

func (a *apart) killController(ctx context.Context, repo *site.Repository, seed string) (time.Duration, error) {
	build, err := a.push(ctx, repo, seed)
	if err != nil {
		return 0, err
	}
	if _, err := a.await(ctx, func(l site.Line) bool { return l.Build == build && l.State == "approval" }); err != nil {
		return 0, err
	}
	victim, err := a.acting()
	if err != nil {
		return 0, err
	}
	a.roles[victim].Kill()
	start := time.Now()
	if _, err := a.Run(ctx, "approve", fleet+"-"+build); err != nil {
		return 0, err
	}
	_, err = a.step(ctx, build, "flipped")
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	return took, a.startRole(ctx, victim)
}

// push pushes a commit of its own and returns the build that it started.
func (a *apart) push(ctx context.Context, repo *site.Repository, seed string) (string, error) {
	commit, err := a.commit(ctx, repo, seed)
	if err != nil {
		return "", err
	}
	return a.send(ctx, repo.URL, commit)
}

// recoveryNATS takes the time from the start of a NATS that was killed, on its store, until a
// promotion, which is asked for from that moment on, has reached the fence config.
func recoveryNATS(ctx context.Context, o options) (_ Figure, err error) {
	a, err := startApart(ctx, o, "hub", "trial: {timeout: 30s}", 1)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	repo, err := a.repository(ctx, "hub", "COPY seed /seed\n")
	if err != nil {
		return Figure{}, err
	}
	seed := seeds()
	var images [2]string
	for i := range images {
		build, err := a.push(ctx, repo, seed())
		if err != nil {
			return Figure{}, err
		}
		flipped, err := a.step(ctx, build, "flipped")
		if err != nil {
			return Figure{}, err
		}
		images[i] = flipped.Image
	}
	took, err := again(ctx, recoveryRounds, func(ctx context.Context, i int) (time.Duration, error) {
		return a.killNATS(ctx, images[i%2])
	})
	if err != nil {
		return Figure{}, err
	}
	return recoveryFigure(o, "recovery_nats_s", took, 10*time.Second), nil
}

func (a *apart) killNATS(ctx context.Context, image string) (time.Duration, error) {
	a.nats.Kill()
	for _, p := range a.roles { // all of them, as after a real outage
		if err := site.Until(ctx, func(context.Context) error { return lost(p) }); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	if err := a.startNATS(); err != nil {
		return 0, err
	}
	if err := site.Until(ctx, func(ctx context.Context) error {
		_, err := a.Run(ctx, "promote", fleet, image)
		return err
	}); err != nil {
		return 0, err
	}
	took := time.Since(start)
	have, err := a.Run(ctx, "config", "get", "fence", "docker/image")
	if err == nil && strings.TrimSpace(have) != image {
		err = fmt.Errorf("the fence config has %q where %s was promoted", have, image)
	}
	return took, err
}

// lost tells whether a role has noticed, as often as it was reached before, that NATS is gone.
func lost(p *site.Process) error {
	out := p.Output()
	if strings.Count(out, "connection to NATS lost") > strings.Count(out, "connected to NATS again") {
		return nil
	}
	return fmt.Errorf("it has not noticed that NATS is gone:\n%s", p.Tail(5))
}
