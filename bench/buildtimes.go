package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// pairs measures two ways of doing something in alternation, n times each, and returns
// their durations. The first pair warms both up and is not counted.
func pairs(ctx context.Context, n int, ours, peer func(context.Context) (time.Duration, error)) (a, b []time.Duration, err error) {
	for i := range n + 1 {
		first, second := ours, peer
		if i%2 == 1 {
			first, second = peer, ours
		}
		x, err := first(ctx)
		if err != nil {
			return nil, nil, err
		}
		y, err := second(ctx)
		if err != nil {
			return nil, nil, err
		}
		if i%2 == 1 {
			x, y = y, x
		}
		if i > 0 {
			a, b = append(a, x), append(b, y)
		}
	}
	return a, b, nil
}

func median[T int | float64 | time.Duration](in []T) T {
	s := slices.Sorted(slices.Values(in))
	return s[len(s)/2]
}

// webhookToReady measures from the webhook to the image-ready event.
func (r *rig) webhookToReady(repo *site.Repository, seed func() string) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		commit, err := r.commit(ctx, repo, seed())
		if err != nil {
			return 0, err
		}
		start := time.Now()
		build, err := r.send(ctx, repo.URL, commit)
		if err != nil {
			return 0, err
		}
		_, err = r.await(ctx, func(l site.Line) bool { return l.Build == build && l.Step == "announced" })
		return time.Since(start), err
	}
}

// byHand measures buildctl.
func (r *rig) byHand(repo *site.Repository, seed func() string) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		commit, err := r.commit(ctx, repo, seed())
		if err != nil {
			return 0, err
		}
		start := time.Now()
		_, err = r.buildctl(ctx, repo, commit)
		return time.Since(start), err
	}
}

// overheadCached takes what fenceline adds to a build of which every step is cached.
func overheadCached(ctx context.Context, o options) (_ Figure, err error) {
	r, err := start(ctx, o, []string{"cached"}, "")
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return r.overheadCached(ctx, "overhead_cached_ms", 150)
}

// overheadCachedApart takes it where each role is a process of its own.
func overheadCachedApart(ctx context.Context, o options) (_ Figure, err error) {
	a, err := startApart(ctx, o, "cached", "", 1)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return a.overheadCached(ctx, "overhead_cached_apart_ms", 170)
}

func (r *rig) overheadCached(ctx context.Context, name string, most float64) (Figure, error) {
	const n = 15
	repo, err := r.repository(ctx, "cached", "COPY seed /seed\nRUN cat /seed\n")
	if err != nil {
		return Figure{}, err
	}
	same := func() string { return "same" }
	ours, hand, err := pairs(ctx, n, r.webhookToReady(repo, same), r.byHand(repo, same))
	if err != nil {
		return Figure{}, err
	}
	more := make([]time.Duration, n)
	for i := range more {
		more[i] = ours[i] - hand[i]
	}
	b := milliseconds(median(hand))
	over := milliseconds(median(more))
	fmt.Fprintf(r.log, "bench: webhook to image ready %v, by hand %v\n", ours, hand)
	return Figure{
		Name: name, Value: over, Unit: "ms", Peer: "buildctl build --push", PeerValue: b, Ratio: median(ratios(ours, hand)),
		Target: fmt.Sprintf("at most %.0f", most), Met: over <= most,
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// overheadCold takes it for a build with a step that takes 10 seconds.
func overheadCold(ctx context.Context, o options) (_ Figure, err error) {
	const n = 3
	r, err := start(ctx, o, []string{"cold"}, "")
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	repo, err := r.repository(ctx, "cold", "COPY seed /seed\nRUN sleep 10\n")
	if err != nil {
		return Figure{}, err
	}
	seed := seeds()
	ours, hand, err := pairs(ctx, n, r.webhookToReady(repo, seed), r.byHand(repo, seed))
	if err != nil {
		return Figure{}, err
	}
	return ratioFigure("overhead_cold_ratio", "buildctl build --push", ours, hand, 1.05), nil
}

// seeds returns a function that never returns the same twice.
func seeds() func() string {
	i := 0
	return func() string {
		i++
		return fmt.Sprint(time.Now().UnixNano(), "-", i)
	}
}

func ratioFigure(name, peer string, ours, theirs []time.Duration, most float64) Figure {
	ratio := median(ratios(ours, theirs))
	return Figure{
		Name: name, Value: ratio, Unit: "ratio", Peer: peer, PeerValue: median(theirs).Seconds(), Ratio: ratio,
		Target: fmt.Sprintf("at most %.2f", most), Met: ratio <= most,
	}
}

// ratios are those of each pair: what slows the machine down for a while slows both of a pair.
func ratios[T float64 | time.Duration](ours, theirs []T) []float64 {
	out := make([]float64, len(ours))
	for i := range ours {
		out[i] = float64(ours[i]) / float64(theirs[i])
	}
	return out
}

// pushToFlip takes the time from git push to the flip on one node, against a script of
// git push, buildctl and docker pull. Each build makes a layer as large as the admin guide's example (134 MB packed), which no cache has.
func pushToFlip(ctx context.Context, o options) (_ Figure, err error) {
	const n = 9 // with 5 the median moves by 0.05 from run to run
	r, err := start(ctx, o, []string{"flip"}, "flip")
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	const large = "COPY seed /seed\nRUN dd if=/dev/urandom of=/payload bs=1M count=134\n"
	told, err := r.repository(ctx, "flip", large)
	if err != nil {
		return Figure{}, err
	}
	quiet, err := r.repository(ctx, "by-hand", large)
	if err != nil {
		return Figure{}, err
	}
	if err := told.Notify(ctx, site.Notice{Hook: "examples/post-receive", Program: r.Program, URL: r.url + "/hooks/generic", SecretFile: r.secretFile}); err != nil {
		return Figure{}, err
	}
	seed := seeds()
	ours := func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		fmt.Fprintf(o.log, "bench:   %s git push\n", start.UTC().Format("05.000"))
		if _, err := r.commit(ctx, told, seed()); err != nil {
			return 0, err
		}
		_, err := r.await(ctx, func(l site.Line) bool { return l.Step == "flipped" && l.Fleet == fleet })
		return time.Since(start), err
	}
	script := func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		commit, err := r.commit(ctx, quiet, seed())
		if err != nil {
			return 0, err
		}
		image, err := r.buildctl(ctx, quiet, commit)
		fmt.Fprintf(o.log, "bench:   by hand: pushed after %v\n", time.Since(start))
		if err != nil {
			return 0, err
		}
		_, err = site.Docker(ctx, "--config", filepath.Join(r.State, "docker-config-node"), "pull", "--quiet", image)
		return time.Since(start), err
	}
	a, b, err := pairs(ctx, n, ours, script)
	if err != nil {
		return Figure{}, err
	}
	fmt.Fprintf(o.log, "bench: push to flip %v, by hand %v\n", a, b)
	return ratioFigure("push_to_flip_ratio", "git push, buildctl build --push, docker pull", a, b, 1.10), nil
}
