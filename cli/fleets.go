package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/spf13/cobra"
)

// fleetFlag is the flag of commands that are about one fleet, or about all.
func fleetFlag(cmd *cobra.Command, fleet *string) {
	cmd.Flags().StringVar(fleet, "fleet", "", "the fleet, where there are several")
}

// oneFleet is the fleet that a command is about: the named one, or the only one there is.
func (s *session) oneFleet(ctx context.Context, name ...string) (string, error) {
	if len(name) > 0 {
		if err := messages.CheckName("fleet", name[0]); err != nil {
			return "", settings.Usage(err)
		}
	}
	names, err := s.fleetNames(ctx)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", errors.New("there is no fleet yet: it begins with a node's first heartbeat ('fenceline nodes') and its first rollout")
	case len(name) > 0 && !slices.Contains(names, name[0]):
		return "", fmt.Errorf("there is no fleet %q: name one of %s", name[0], strings.Join(names, ", "))
	case len(name) > 0:
		return name[0], nil
	case len(names) > 1:
		return "", settings.Usagef("there are several fleets: name one of %s", strings.Join(names, ", "))
	}
	return names[0], nil
}

// flaggedFleet is oneFleet for a flag, which is "" where it is not given.
func (s *session) flaggedFleet(ctx context.Context, flag string) (string, error) {
	if flag == "" {
		return s.oneFleet(ctx)
	}
	return s.oneFleet(ctx, flag)
}

// fleetNames lists the fleets that have a record or a member, sorted.
func (s *session) fleetNames(ctx context.Context) ([]string, error) {
	fleets, broken, err := store.Fleets(s.queue).ListAll(ctx)
	if err != nil {
		return nil, err
	}
	members, err := store.Members(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, f := range fleets {
		seen[f.Key] = true
	}
	for _, b := range broken {
		seen[b.Key] = true
	}
	for _, m := range members {
		seen[m.Value.Fleet] = true
	}
	return sorted(seen), nil
}

func newFleetsCmd() *cobra.Command {
	return Family("fleets", "Set a fleet's record right", "  fenceline fleets repair production", newRepairCmd(), newOrderCmd())
}

func newRepairCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "repair FLEET", Short: "Restore a fleet's record that can't be read",
		Long: `Replaces a record that can't be read, as 'fenceline status' says of it, by the last value
that can. Where none is left the record is made anew and the fleet is held.`,
		Example: "  fenceline fleets repair production",
		Args:    settings.Args(1, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		fleet, err := s.oneFleet(ctx, args[0])
		if err != nil {
			return err
		}
		r, err := people.RepairFleet(ctx, s.queue, fleet, whoami())
		if err != nil {
			return err
		}
		return s.decided(r, "%s: repaired: %s", fleet, r.Mended.What)
	})
}

func newOrderCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "order FLEET ORDER", Short: "Set the highest order that a fleet was flipped to",
		Long: `A fleet takes no image of an order that is not above the highest it was flipped to. Set that
right where it is higher than any image will reach. It can't be set above the last order that
was given. Below the orders of the fleet's own images it takes --force, as older ones could
then be flipped to.`,
		Example: "  fenceline fleets order production 118",
		Args:    settings.Args(2, 2),
	}
	cmd.Flags().BoolVar(&force, "force", false, "also below the orders of the images that the fleet has")
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		order, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return settings.Usagef("ORDER %q is not a whole number, as 'fenceline builds -o json' has them", args[1])
		}
		fleet, err := s.oneFleet(ctx, args[0])
		if err != nil {
			return err
		}
		r, err := people.SetOrder(ctx, s.queue, fleet, order, force, whoami())
		if errors.Is(err, people.ErrOlderCouldFlip) {
			err = fmt.Errorf("%w: add --force where that is meant", err)
		}
		if err != nil {
			return err
		}
		return s.decided(r, "%s: %s", fleet, r.Mended.What)
	})
}
