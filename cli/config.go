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
	cmd := &cobra.Command{
		Use: "get [FLEET] fence docker/image", Short: "Show the image that new app containers get",
		Example: "  fenceline config get fence docker/image\n  fenceline config get production fence docker/image",
	}
	takesFleet(cmd, 2)
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		fleet, b, _, err := s.setting(ctx, cmd, args, 2)
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
	cmd := &cobra.Command{
		Use: "set [FLEET] fence docker/image VALUE", Short: "Set the image by hand, past all checks",
		Long: `Writes the fence config itself, as an administrator would with kato. Fenceline sees that
it was a person's doing: it sets a hold on the fleet, reports it, and does not fight it. Before
the fleet's first flip there is nothing to tell it from: the first image replaces it.
'fenceline promote' and 'fenceline rollback' are the ways that check first.`,
		Example: "  fenceline config set fence docker/image registry.example.com/exampleco/newimg@sha256:4f2d…",
	}
	takesFleet(cmd, 3)
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		if args[len(args)-1] == "" {
			return settings.Usagef("the value is empty: name an image")
		}
		fleet, b, args, err := s.setting(ctx, cmd, args, 3)
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

// setting finds what a command of so many words is about: a fleet, its fence config, and the words
// without the fleet.
func (s *session) setting(ctx context.Context, cmd *cobra.Command, args []string, words int) (fleet string, b fence.Backend, rest []string, err error) {
	named, rest, err := fleetWord(cmd.Flags(), args, words)
	if err == nil {
		err = checkSetting(rest)
	}
	if err == nil {
		fleet, err = s.oneFleet(ctx, named...)
	}
	if err != nil {
		return "", nil, nil, err
	}
	return fleet, s.fence(fleet), rest, nil
}

// fence is the fence config of a fleet.
func (s *session) fence(fleet string) fence.Backend { return backends.Open(s.queue)(fleet) }
