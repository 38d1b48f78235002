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
	"github.com/fenceline/fenceline/suggest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// fleetFlag is another way to write the word FLEET, for scripts of earlier versions. Help doesn't
// show it.
const fleetFlag = "fleet"

// takesFleet makes cmd one whose first word may be a FLEET, before as many as words besides.
func takesFleet(cmd *cobra.Command, words int) {
	cmd.Flags().String(fleetFlag, "", "the fleet")
	cmd.Flags().Lookup(fleetFlag).Hidden = true
	cmd.Args = settings.Args(words, words+1)
}

// fleetWord takes the fleet off the words of a command that takesFleet: none where it is left out.
func fleetWord(fs *pflag.FlagSet, args []string, words int) (fleet, rest []string, err error) {
	fleet, rest = args[:len(args)-words], args[len(args)-words:]
	f := fs.Lookup(fleetFlag)
	if !f.Changed {
		return fleet, rest, nil
	}
	if len(fleet) > 0 {
		return nil, nil, settings.Usagef("the fleet is given twice, as %s and by --%s", fleet[0], fleetFlag)
	}
	return []string{f.Value.String()}, rest, nil
}

// oneFleet is the fleet that a command is about: the named one, or the only one there is.
func (s *session) oneFleet(ctx context.Context, name ...string) (string, error) {
	if len(name) > 0 {
		found, err := s.namedFleet(ctx, name[0])
		s.fleet = found
		return found, err
	}
	names, err := s.fleetNames(ctx)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", errNoFleet
	case len(names) > 1:
		return "", settings.Usagef("there are several fleets: name one of %s", strings.Join(names, ", "))
	}
	s.fleet = names[0]
	return names[0], nil
}

// errNoFleet tells that there is no fleet at all.
var errNoFleet = errors.New("there is no fleet yet: it begins with a node's first heartbeat ('fenceline nodes') and its first rollout")

// someFleet is the fleet that a list is about: the named one, or "" for all.
func (s *session) someFleet(ctx context.Context, name []string) (string, error) {
	if len(name) == 0 {
		return "", nil
	}
	return s.namedFleet(ctx, name[0])
}

// namedFleet is the name of a fleet that there is.
func (s *session) namedFleet(ctx context.Context, name string) (string, error) {
	if err := messages.CheckName("fleet", name); err != nil {
		return "", settings.Usage(err)
	}
	names, err := s.fleetNames(ctx)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", errNoFleet
	case !slices.Contains(names, name):
		return "", unknown("fleet", name, names, "name one of "+strings.Join(names, ", "))
	}
	return name, nil
}

// unknown says that there is nothing of that name, which of the known ones may be meant, and where
// they are listed.
func unknown(what, name string, known []string, listed string) error {
	if near := suggest.Nearest(name, known); near != "" {
		return fmt.Errorf("there is no %s %q, did you mean %q? (%s)", what, name, near, listed)
	}
	return fmt.Errorf("there is no %s %q: %s", what, name, listed)
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
		if fleet, _, err := messages.ParseNodeKey(m.Key); err == nil {
			seen[fleet] = true
		}
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
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
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
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
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
