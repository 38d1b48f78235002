package cli

import (
	"context"
	"fmt"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/backends"
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

func newConfigGetCmd() *cobra.Command {
	var fleet string
	cmd := &cobra.Command{
		Use: "get fence docker/image", Short: "Show the image that new app containers get",
		Example: "  fenceline config get fence docker/image",
		Args:    settings.Args(2, 2),
	}
	fleetFlag(cmd, &fleet)
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		if err := checkSetting(args); err != nil {
			return err
		}
		b, err := s.fence(ctx, &fleet)
		if err != nil {
			return err
		}
		v, err := b.Get(ctx)
		if err != nil {
			return err
		}
		if v.Value == "" {
			return fmt.Errorf("fence %s is not set for fleet %s yet: no image has been flipped to", fence.Key, fleet)
		}
		return s.print(map[string]string{"fleet": fleet, "component": component, "key": fence.Key, "value": v.Value},
			func(p *terminal.Page) { p.Line("%s", v.Value) })
	})
}

func newConfigSetCmd() *cobra.Command {
	var fleet string
	cmd := &cobra.Command{
		Use: "set fence docker/image VALUE", Short: "Set the image by hand, past all checks",
		Long: `Writes the fence config itself, as an administrator would with kato. Fenceline sees that
it was a person's doing: it sets a hold on the fleet, reports it, and does not fight it. Before
the fleet's first flip there is nothing to tell it from: the first image replaces it.
'fenceline promote' and 'fenceline rollback' are the ways that check first.`,
		Example: "  fenceline config set fence docker/image registry.example.com/exampleco/newimg@sha256:4f2d…",
		Args:    settings.Args(3, 3),
	}
	fleetFlag(cmd, &fleet)
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		if err := checkSetting(args); err != nil {
			return err
		}
		if args[2] == "" {
			return settings.Usagef("the value is empty: name an image")
		}
		b, err := s.fence(ctx, &fleet)
		if err != nil {
			return err
		}
		was, err := b.Get(ctx)
		if err != nil {
			return err
		}
		if _, err := b.Set(ctx, args[2], was.Revision); err != nil {
			return err
		}
		return s.decided(map[string]string{"fleet": fleet, "component": component, "key": fence.Key, "value": args[2], "previous": was.Value},
			"%s: %s", fleet, args[2])
	})
}

// fence is the fence config of a fleet, the only one where *fleet is empty; it sets *fleet.
func (s *session) fence(ctx context.Context, fleet *string) (fence.Backend, error) {
	name, err := s.flaggedFleet(ctx, *fleet)
	if err != nil {
		return nil, err
	}
	*fleet = name
	return backends.Open(s.queue)(name), nil
}
