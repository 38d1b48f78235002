package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/spf13/cobra"
)

func newHistoryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history [FLEET]", Short: "Show what the fence config was, and when",
		Example: "  fenceline history\n  fenceline history production -o json",
		Args:    settings.Args(0, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		fleet := cmp.Or(args...)
		b, err := s.fence(ctx, &fleet)
		if err != nil {
			return err
		}
		changes, err := historyOf(ctx, b, fleet)
		if err != nil {
			return err
		}
		return s.printHistory(ctx, fleet, changes)
	})
}

// historyOf is what a fleet's fence config was, where its backend remembers that.
func historyOf(ctx context.Context, b fence.Backend, fleet string) ([]fence.Change, error) {
	h, ok := b.(fence.Historian)
	if !ok {
		return nil, fmt.Errorf("the history of fleet %s: its fence config remembers no earlier values: 'fenceline rollouts --fleet %s' lists the images that were flipped to", fleet, fleet)
	}
	return h.History(ctx)
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
			if string(r.Ready.Image) == c.Value && (c.Cause.Rollout == "" || c.Cause.Rollout == r.ID) {
				v.Build, v.Order, v.Commit, v.Rollout = r.Ready.Build, r.Ready.Order, r.Ready.Commit, r.ID
			}
		}
		if by := c.Cause; by.Rollout != "" { // its record may be gone
			v.Build, v.Order, v.Rollout = by.Build, by.Order, by.Rollout
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
