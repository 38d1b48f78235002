package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
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
		return s.namedFleet(ctx, name[0])
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
	fleets, err := store.Fleets(s.queue).List(ctx)
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
	for _, m := range members {
		if fleet, _, err := messages.ParseNodeKey(m.Key); err == nil {
			seen[fleet] = true
		}
	}
	return sorted(seen), nil
}
