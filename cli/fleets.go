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
		if f.Value.Fleet != "" {
			seen[f.Value.Fleet] = true
		}
	}
	for _, m := range members {
		seen[m.Value.Fleet] = true
	}
	return sorted(seen), nil
}
