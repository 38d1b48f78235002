package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/spf13/cobra"
)

// People's decisions about fleets and rollouts.

func newRollbackCmd() *cobra.Command {
	var to string
	var force bool
	cmd := &cobra.Command{
		Use: "rollback [FLEET]", Short: "Go back to the previous image, and hold the fleet",
		Long: `Makes the fleet's previous image current again, or with --to one of those that it
keeps, and sets a hold, so that no later image is flipped until 'fenceline release'.
Nodes have the image already: registry, producer and builders may be down. Where fewer than a
quorum of them report it, --force is needed.`,
		Example: "  fenceline rollback\n  fenceline rollback production --to sha256:4f2d…",
		Args:    settings.Args(0, 1),
	}
	cmd.Flags().StringVar(&to, "to", "", "digest, image or build to go back to, of those that the fleet keeps")
	cmd.Flags().BoolVar(&force, "force", false, "go back to an image that fewer nodes than a quorum report present")
	wait, saying := waitFlag(cmd), reasonFlag(cmd)
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		ctx, err := saying(ctx)
		if err != nil {
			return err
		}
		fleet, err := s.oneFleet(ctx, args...)
		if err != nil {
			return err
		}
		rollback := people.Rollback
		if force {
			rollback = people.ForceRollback
		}
		r, err := rollback(ctx, s.queue, fleet, to, whoami())
		if errors.Is(err, people.ErrNotPresent) {
			return fmt.Errorf("%w; the nodes fetch what they lack only while the registry answers; --force goes back all the same", err)
		}
		if err != nil {
			return err
		}
		present := "present on an unknown number of nodes"
		if held, members, err := people.Holding(ctx, s.queue, fleet, r.Current.Image); err == nil {
			present = fmt.Sprintf("present on %d of %s", held, overview.Counted(members, "node"))
		}
		return s.applied(ctx, r, *wait, "rolled back, %s, and held until 'fenceline release %s'", present, fleet)
	})
}

func newPromoteCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "promote [FLEET] DIGEST", Short: "Flip to an image that the fleet holds",
		Long: `Makes an image current that a quorum of the fleet's members report present, by its digest or
the ID of its build. A hold does not stop it, and stays. Their next heartbeats are waited for, as long as three take.`,
		Example: "  fenceline promote sha256:4f2d…\n  fenceline promote production sha256:4f2d…",
		Args:    settings.Args(1, 2),
	}
	wait, saying := waitFlag(cmd), reasonFlag(cmd)
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		ctx, err := saying(ctx)
		if err != nil {
			return err
		}
		fleet, err := s.oneFleet(ctx, args[:len(args)-1]...)
		if err != nil {
			return err
		}
		r, err := people.Promote(ctx, s.queue, fleet, args[len(args)-1], whoami())
		if err != nil {
			return err
		}
		return s.applied(ctx, r, *wait, "promoted")
	})
}

// reasonFlag lets a person say why they decide so. It returns what gives a decision's context what they said.
func reasonFlag(cmd *cobra.Command) func(context.Context) (context.Context, error) {
	reason := cmd.Flags().String("reason", "", "why, for those who look at this later")
	settings.DefaultsTo(cmd.Flags(), "reason", "none")
	return func(ctx context.Context) (context.Context, error) {
		if err := people.CheckReason(*reason); err != nil {
			return ctx, settings.Usagef("--reason: %v", err)
		}
		return messages.Saying(ctx, *reason), nil
	}
}

func waitFlag(cmd *cobra.Command) *time.Duration {
	wait := new(time.Duration)
	settings.SpanVar(cmd.Flags(), wait, "wait", 30*time.Second, "how long to wait until the fence config has followed; 0s to not wait")
	return wait
}

// errNotApplied tells that a decision stands but the fence config has not followed yet.
var errNotApplied = errors.New("the fence config has not followed yet")

// applied waits until the fence config has followed the decision in r, and prints it.
func (s *session) applied(ctx context.Context, r messages.FleetRecord, wait time.Duration, line string, a ...any) error {
	s.done = true
	if wait > 0 {
		seen, err := s.awaitApplied(ctx, r, wait)
		if err != nil {
			return err
		}
		r = seen
	}
	return s.decided(r, "%s: %s is current (epoch %d): %s", r.Fleet, r.Current.Image, r.Epoch, fmt.Sprintf(line, a...))
}

func (s *session) awaitApplied(ctx context.Context, want messages.FleetRecord, wait time.Duration) (messages.FleetRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	last, done := want, false
	err := s.attended(ctx, func(ctx context.Context) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		return store.Fleets(s.queue).Watch(ctx, func(e queue.Entry[messages.FleetRecord]) {
			if e.Key != want.Fleet {
				return
			}
			if last = e.Value; last.Applied.Epoch >= want.Epoch && last.Applied.Error == "" {
				done = true
				stop()
			}
		}, nil)
	})
	switch {
	case done:
		return last, nil
	case errors.Is(err, errAway):
		return last, fmt.Errorf("fleet %s: decided, but %w: %w: 'fenceline status' shows when it has", want.Fleet, errNotApplied, err)
	case errors.Is(err, context.Canceled):
		return last, fmt.Errorf("fleet %s: decided, but %w: %w: 'fenceline status' shows when it has", want.Fleet, errNotApplied, errInterrupted)
	case errors.Is(err, context.DeadlineExceeded) && !s.queue.Connected():
		return last, fmt.Errorf("fleet %s: decided, but %w within %s: %w: 'fenceline status' shows when it has", want.Fleet, errNotApplied, wait, s.away(context.WithoutCancel(ctx)))
	case errors.Is(err, context.DeadlineExceeded) && last.Applied.Error != "":
		return last, fmt.Errorf("fleet %s: decided, but %w: %s", want.Fleet, errNotApplied, last.Applied.Error)
	case errors.Is(err, context.DeadlineExceeded):
		return last, fmt.Errorf("fleet %s: decided, but %w within %s: is a controller running? 'fenceline status' shows when it has", want.Fleet, errNotApplied, wait)
	}
	return last, err
}

func newHoldCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "hold [FLEET]", Short: "Stop flips: later images are preloaded, not flipped",
		Example: "  fenceline hold --reason 'release freeze'",
		Args:    settings.Args(0, 1),
	}
	cmd.Flags().StringVar(&reason, "reason", "asked for by hand", "why, for those who look at the fleet")
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		fleet, err := s.oneFleet(ctx, args...)
		if err != nil {
			return err
		}
		r, err := people.Hold(ctx, s.queue, fleet, reason, whoami())
		if err != nil {
			return err
		}
		return s.decided(r, "%s: held (%s)", fleet, reason)
	})
}

func newReleaseCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "release [FLEET]", Short: "End a hold: the newest waiting image follows",
		Example: "  fenceline release\n  fenceline release production --reason 'the freeze is over'",
		Args:    settings.Args(0, 1),
	}
	saying := reasonFlag(cmd)
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		ctx, err := saying(ctx)
		if err != nil {
			return err
		}
		fleet, err := s.oneFleet(ctx, args...)
		if err != nil {
			return err
		}
		r, err := people.Release(ctx, s.queue, fleet, whoami())
		if err != nil {
			return err
		}
		return s.decided(r, "%s: released", fleet)
	})
}

func newApproveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "approve ROLLOUT", Short: "Give the word that a rollout waits for",
		Example: "  fenceline approve production-alsek-k3x9q2wd\n  fenceline approve production-alsek-k3x9q2wd --reason 'tried on node-7 by hand'",
		Args:    settings.Args(1, 1),
	}
	saying := reasonFlag(cmd)
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		ctx, err := saying(ctx)
		if err != nil {
			return err
		}
		r, err := people.Approve(ctx, s.queue, args[0], whoami())
		s.fleet = r.Fleet // of what is refused, too
		if err != nil {
			return s.unknownRollout(ctx, args[0], err)
		}
		return s.decided(r, "%s: approved", r.ID)
	})
}

func newAbortCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "abort ROLLOUT", Short: "End a rollout before its flip",
		Example: "  fenceline abort production-alsek-k3x9q2wd\n  fenceline abort production-alsek-k3x9q2wd --reason 'it leaks'",
		Args:    settings.Args(1, 1),
	}
	saying := reasonFlag(cmd)
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		ctx, err := saying(ctx)
		if err != nil {
			return err
		}
		r, err := people.Abort(ctx, s.queue, args[0], whoami())
		s.fleet = r.Fleet
		if err != nil {
			return s.unknownRollout(ctx, args[0], err)
		}
		return s.decided(r, "%s: aborted", r.ID)
	})
}

// unknownRollout says of a rollout that there is not which may be meant.
func (s *session) unknownRollout(ctx context.Context, id string, err error) error {
	if !errors.Is(err, people.ErrUnknownRollout) {
		return err
	}
	all, failed := s.rollouts(ctx, "")
	if failed != nil {
		return errors.Join(err, failed)
	}
	var known []string
	for _, r := range all {
		known = append(known, r.ID)
	}
	return unknown("rollout", id, known, "'fenceline rollouts' lists them")
}
