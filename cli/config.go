package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
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
			func(w io.Writer) { fmt.Fprintln(w, v.Value) })
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

func fleetFlag(cmd *cobra.Command, fleet *string) {
	cmd.Flags().StringVar(fleet, "fleet", "", "the fleet, where there are several")
}

// fence is the fence config of a fleet, the only one where *fleet is empty; it sets *fleet.
func (s *session) fence(ctx context.Context, fleet *string) (*natskv.Config, error) {
	var named []string
	if *fleet != "" {
		named = []string{*fleet}
	}
	name, err := s.oneFleet(ctx, named)
	if err != nil {
		return nil, err
	}
	*fleet = name
	return natskv.New(s.queue.JetStream(), s.queue.Space().FenceBucket(), name), nil
}

func newHistoryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history [FLEET]", Short: "Show what the fence config was, and when",
		Example: "  fenceline history\n  fenceline history production -o json",
		Args:    settings.Args(0, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		var fleet string
		if len(args) > 0 {
			fleet = args[0]
		}
		b, err := s.fence(ctx, &fleet)
		if err != nil {
			return err
		}
		changes, err := b.History(ctx)
		if err != nil {
			return err
		}
		return s.printHistory(ctx, fleet, changes)
	})
}

// pastValue is a value that the fence config had.
type pastValue struct {
	At      string `json:"at"` // RFC 3339, by the store's clock
	Value   string `json:"value"`
	Build   string `json:"build,omitempty"` // of the image, where fenceline built it
	Order   uint64 `json:"order,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Rollout string `json:"rollout,omitempty"`
}

func (s *session) printHistory(ctx context.Context, fleet string, changes []fence.Change) error {
	rollouts, err := s.rollouts(ctx, fleet)
	if err != nil {
		return err
	}
	out := []pastValue{}
	for _, c := range changes {
		v := pastValue{At: c.At.UTC().Format(time.RFC3339), Value: c.Value}
		for _, r := range rollouts {
			if string(r.Ready.Image) == c.Value {
				v.Build, v.Order, v.Commit, v.Rollout = r.Ready.Build, r.Ready.Order, r.Ready.Commit, r.ID
			}
		}
		out = append(out, v)
	}
	return s.print(out, func(w io.Writer) {
		head(w, "AT", "IMAGE", "BUILD", "ORDER", "COMMIT")
		for _, v := range out {
			row(w, v.At, shown(v.Value), v.Build, v.Order, shortCommit(v.Commit))
		}
	})
}

// shown is a value of the fence config for a table: shortened where it is one of ours.
func shown(value string) string {
	if i, err := messages.ParseImage(value); err == nil {
		return short(i)
	}
	return value
}
