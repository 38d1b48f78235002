package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
)

// flipPairs is how often a flip and its peer are taken.
const flipPairs = 25

// lookEvery is how often another client of a fence config looks at it: an error of half of that, of both.
const lookEvery = 250 * time.Microsecond

// fenceStore is a store of fence configs that flips are measured on.
type fenceStore struct {
	flags []string                                // that lead a controller to it
	read  func() (string, error)                  // the value, as another client has it
	set   func(context.Context, string) *exec.Cmd // the store's own command that sets it
}

// flipFigure takes the time from a decision until another client reads its value, against the same from the
// start of the store's own command. The decision is a person's, between two images that the node has.
func flipFigure(ctx context.Context, o options, name, peer string, s fenceStore) (_ Figure, err error) {
	r, err := start(ctx, o, []string{"flips"}, "flips", s.flags...)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	repo, err := r.repository(ctx, "flips", "COPY seed /seed\n")
	if err != nil {
		return Figure{}, err
	}
	var images [2]string
	for i := range images {
		if images[i], err = r.flipped(ctx, repo, fmt.Sprint(i), s); err != nil {
			return Figure{}, err
		}
	}
	fleets, err := r.decisions(ctx)
	if err != nil {
		return Figure{}, err
	}
	var n, by int
	ours := func(ctx context.Context) (time.Duration, error) {
		n++
		return r.decide(ctx, fleets, images[(n+1)%2], s)
	}
	hand := func(ctx context.Context) (time.Duration, error) {
		by++
		return r.setByHand(ctx, fleets, fmt.Sprintf("exampleco/by-hand:%d", by), s)
	}
	a, b, err := pairs(ctx, flipPairs, ours, hand)
	if err != nil {
		return Figure{}, err
	}
	fmt.Fprintf(o.log, "bench: decision to value %v, by hand %v\n", a, b)
	ratio := median(ratios(a, b))
	return Figure{
		Name: name, Value: milliseconds(median(a)), Unit: "ms", Peer: peer, PeerValue: milliseconds(median(b)), Ratio: ratio,
		Target: "at most 3 times the peer", Met: ratio <= 3,
	}, nil
}

// flipped builds an image, and returns it once the fence config names it.
func (r *rig) flipped(ctx context.Context, repo *site.Repository, seed string, s fenceStore) (string, error) {
	commit, err := r.commit(ctx, repo, seed)
	if err != nil {
		return "", err
	}
	build, err := r.send(ctx, repo.URL, commit)
	if err != nil {
		return "", err
	}
	if _, err := r.await(ctx, func(l site.Line) bool { return l.Build == build && l.Step == "announced" }); err != nil {
		return "", err
	}
	flipped, err := r.await(ctx, func(l site.Line) bool { return l.Step == "flipped" && l.Fleet == fleet })
	if err != nil {
		return "", err
	}
	bounded, cancel := context.WithTimeout(ctx, flipTimeout)
	defer cancel()
	if at := <-s.seen(bounded, flipped.Image); at.IsZero() {
		return "", fmt.Errorf("the fence config never named %s\n%s", flipped.Image, r.up.Tail(15))
	}
	return flipped.Image, nil
}

// decisions follows the fleet's record.
func (r *rig) decisions(ctx context.Context) (<-chan queue.Entry[messages.FleetRecord], error) {
	found, err := standalone.ReadClient(r.State)
	if err != nil {
		return nil, err
	}
	password, err := messages.ReadSecret(found.PasswordFile)
	if err != nil {
		return nil, err
	}
	space, err := messages.NewSpace(found.Prefix)
	if err != nil {
		return nil, err
	}
	c, err := queue.Connect(ctx, queue.Options{
		URL: found.NATS, User: found.User, Password: password.Trimmed(), Space: space, Name: "bench", Source: "/fenceline/bench", Logger: zerolog.Nop(),
	})
	if err != nil {
		return nil, err
	}
	entries := make(chan queue.Entry[messages.FleetRecord], 1000)
	go func() {
		defer c.Close()
		err := store.Fleets(c).Watch(ctx, func(e queue.Entry[messages.FleetRecord]) { entries <- e }, func() {})
		if ctx.Err() == nil {
			fmt.Fprintf(r.log, "bench: following the fleet's record: %v\n", err)
		}
		close(entries)
	}()
	return entries, nil
}

// fleetIs waits for a state of the fleet's record, and returns when it was written.
func (r *rig) fleetIs(ctx context.Context, entries <-chan queue.Entry[messages.FleetRecord], state func(messages.FleetRecord) bool) (time.Time, error) {
	for {
		select {
		case e, ok := <-entries:
			if !ok {
				return time.Time{}, errors.New("the fleet's record can't be followed")
			}
			if state(e.Value) {
				return e.Created, nil
			}
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting for the fleet's record: %w\n%s", context.Cause(ctx), r.up.Tail(15))
		}
	}
}

// decide has a person decide for an image, and measures from the decision.
func (r *rig) decide(ctx context.Context, entries <-chan queue.Entry[messages.FleetRecord], image string, s fenceStore) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, flipTimeout)
	defer cancel()
	seen := s.seen(ctx, image)
	_, digest, _ := strings.Cut(image, "@")
	if _, err := r.Run(ctx, "rollback", fleet, "--to", digest); err != nil {
		return 0, err
	}
	decided, err := r.fleetIs(ctx, entries, func(f messages.FleetRecord) bool { return string(f.Current.Image) == image })
	if err != nil {
		return 0, err
	}
	at := <-seen
	if at.IsZero() {
		return 0, fmt.Errorf("the fence config never named %s: %w\n%s", image, context.Cause(ctx), r.up.Tail(15))
	}
	_, err = r.fleetIs(ctx, entries, func(f messages.FleetRecord) bool { return f.Applied.Epoch == f.Epoch && f.Applied.Value == image })
	return at.Sub(decided), err
}

// setByHand sets a value of nobody's by the store's own command, and measures from its start. The controller
// takes it for a person's.
func (r *rig) setByHand(ctx context.Context, entries <-chan queue.Entry[messages.FleetRecord], value string, s fenceStore) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, flipTimeout)
	defer cancel()
	seen := s.seen(ctx, value)
	cmd := s.set(ctx, value)
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	at := <-seen
	if at.IsZero() {
		return 0, fmt.Errorf("%s: the value is not there", strings.Join(cmd.Args, " "))
	}
	_, err := r.fleetIs(ctx, entries, func(f messages.FleetRecord) bool { return f.Applied.Value == value })
	return at.Sub(begun), err
}

// flipTimeout bounds one flip, which takes less than a second.
const flipTimeout = time.Minute

// seen looks at the store until it has the value, and tells when that was; nothing where ctx ends first.
func (s fenceStore) seen(ctx context.Context, value string) <-chan time.Time {
	at := make(chan time.Time, 1)
	go func() {
		defer close(at)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if is, err := s.read(); err == nil && is == value {
					at <- time.Now()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return at
}
