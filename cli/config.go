package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// The fence config, in kato's words.

func newConfigCmd() *cobra.Command {
	return Family("config", "Read and write the fence config, in kato's words",
		"  fenceline config get fence docker/image\n  fenceline config set fence docker/image NAME@sha256:…",
		newConfigGetCmd(), newConfigSetCmd())
}

// component is the component whose setting this is, as kato config has it.
const component = "fence"

func checkSetting(args []string) error {
	if args[0] != component || args[1] != fence.Key {
		return settings.Usagef("there is no setting %q %q: the only one is %q %q", args[0], args[1], component, fence.Key)
	}
	return nil
}

// setting is what config get and set print.
type setting struct {
	Fleet     string `json:"fleet"`
	Component string `json:"component"`
	Key       string `json:"key"`
	Store     string `json:"store"` // of messages.FenceKinds
	Value     string `json:"value"`
	Previous  string `json:"previous,omitempty"` // that was set before
	Held      bool   `json:"held"`
}

func settingOf(a messages.FenceAnswered) setting {
	return setting{a.Fleet, component, fence.Key, a.Store, a.Value, a.Previous, a.Held}
}

func newConfigGetCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get [FLEET] fence docker/image", Short: "Show the image that new app containers get",
		Long: `Asks the acting controller, which reads the fence config where it lives: no credential of
that store is needed here.`,
		Example: "  fenceline config get fence docker/image\n  fenceline config get production fence docker/image",
	}
	takesFleet(cmd, 2)
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		fleet, _, err := s.setting(ctx, cmd, args, 2)
		if err != nil {
			return err
		}
		a, err := people.ReadFence(ctx, s.queue, fleet)
		if err != nil {
			return err
		}
		if a.Value == "" {
			return fmt.Errorf("fence %s is not set for fleet %s yet: no image has been flipped to", fence.Key, fleet)
		}
		out := settingOf(a)
		out.Previous = ""
		return s.print(out, func(p *terminal.Page) { p.Line("%s", a.Value) })
	})
}

func newConfigSetCmd() *cobra.Command {
	var reason string
	var force bool
	cmd := &cobra.Command{
		Use: "set [FLEET] fence docker/image VALUE", Short: "Set the image by hand, past the rollout",
		Long: `Has the acting controller write the fence config itself, wherever it lives, and holds the
fleet: the value is a person's, and is not fought until 'fenceline release'. An image that no
quorum of the nodes reports takes --force, and so does one that is not named by its digest.
Before the fleet's first flip there is no hold: the first image replaces the value.
'fenceline promote' and 'fenceline rollback' are the ways that keep to the fleet's images.`,
		Example: "  fenceline config set fence docker/image registry.example.com/exampleco/newimg@sha256:4f2d… --reason 'until the next build'\n" +
			"  fenceline config set fence docker/image stackato/stack-alsek --force",
	}
	takesFleet(cmd, 3)
	cmd.Flags().StringVar(&reason, "reason", "asked for by hand", "why, for those who look at the fleet and its history")
	cmd.Flags().BoolVar(&force, "force", false, "set an image that fewer nodes than a quorum report present")
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		if args[len(args)-1] == "" {
			return settings.Usagef("the value is empty: name an image")
		}
		fleet, args, err := s.setting(ctx, cmd, args, 3)
		if err != nil {
			return err
		}
		set := people.SetFence
		if force {
			set = people.ForceFence
		}
		a, err := set(ctx, s.queue, fleet, args[2], reason, whoami())
		if errors.Is(err, people.ErrNotPresent) {
			return fmt.Errorf("%w; --force sets it all the same", err)
		}
		if err != nil {
			return err
		}
		if a.Held {
			return s.decided(settingOf(a), "%s: %s, and held until 'fenceline release %s'", fleet, a.Value, fleet)
		}
		return s.decided(settingOf(a), "%s: %s", fleet, a.Value)
	})
}

// setting finds what a command of so many words is about: a fleet, and the words without it.
func (s *session) setting(ctx context.Context, cmd *cobra.Command, args []string, words int) (fleet string, rest []string, err error) {
	named, rest, err := fleetWord(cmd.Flags(), args, words)
	if err == nil {
		err = checkSetting(rest)
	}
	if err == nil {
		fleet, err = s.oneFleet(ctx, named...)
	}
	return fleet, rest, err
}
