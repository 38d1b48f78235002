package cli

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newHistoryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history [FLEET]", Short: "Show what the fence config was, and when",
		Example: "  fenceline history\n  fenceline history production -o json",
		Args:    settings.Args(0, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		fleet, err := s.oneFleet(ctx, args...)
		if err != nil {
			return err
		}
		changes, err := backends.History(ctx, s.queue, fleet)
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
	Digest  string `json:"digest,omitempty"` // of the image that the value names
	Build   string `json:"build,omitempty"`  // of the image, where fenceline built it
	Order   uint64 `json:"order,omitempty"`
	Ref     string `json:"ref,omitempty"` // the branch or tag that it was built of, by its full name
	Commit  string `json:"commit,omitempty"`
	Rollout string `json:"rollout,omitempty"`
	By      string `json:"by,omitempty"` // who decided; nobody is known of what was set past fenceline
	Reason  string `json:"reason,omitempty"`
	Store   string `json:"store,omitempty"` // where it stood, of messages.FenceKinds
}

func (s *session) printHistory(ctx context.Context, fleet string, changes []fence.Change) error {
	rollouts, err := s.rollouts(ctx, fleet)
	if err != nil {
		return err
	}
	out := []pastValue{}
	causes := causesOf(changes, rollouts)
	for i, c := range changes {
		v := pastValue{At: c.At.UTC().Format(time.RFC3339), Value: c.Value, Digest: digestIn(c.Value), By: c.Cause.By, Reason: c.Cause.Reason, Store: c.Kind}
		if r := causes[i]; r != nil {
			v.Build, v.Order, v.Ref, v.Commit, v.Rollout = r.Ready.Build, r.Ready.Order, r.Ready.Ref, r.Ready.Commit, r.ID
		}
		if by := c.Cause; by.Rollout != "" { // its record may be gone
			v.Build, v.Order, v.Rollout = by.Build, by.Order, by.Rollout
		}
		out = append(out, v)
	}
	return s.print(out, func(p *terminal.Page) {
		p.Head("AT", "IMAGE", "BUILD", "ORDER", "REF", "COMMIT", "ROLLOUT", "BY", "REASON")
		for _, v := range out {
			p.Row(v.At, cmp.Or(shown(v.Value), "(unset)"), v.Build, v.Order, messages.ShownRef(v.Ref), overview.ShortCommit(v.Commit), v.Rollout, v.By, v.Reason)
		}
	})
}

// causesOf is, for each change of the fence config, the rollout that it came of, or nil. A change of
// which the fence config keeps no cause, such as a person's, has the rollout that had brought its image before.
func causesOf(changes []fence.Change, rollouts []messages.RolloutRecord) []*messages.RolloutRecord {
	known := map[string]*messages.RolloutRecord{}
	for i := range rollouts {
		known[rollouts[i].ID] = &rollouts[i]
	}
	out := make([]*messages.RolloutRecord, len(changes))
	last := map[string]*messages.RolloutRecord{}
	for i, c := range changes {
		if c.Cause.Rollout != "" {
			out[i] = known[c.Cause.Rollout]
		} else {
			out[i] = cmp.Or(last[c.Value], brought(c.Value, rollouts))
		}
		last[c.Value] = out[i]
	}
	return out
}

// brought is the first rollout of an image, for a value that no cause is known of.
func brought(value string, rollouts []messages.RolloutRecord) *messages.RolloutRecord {
	var first *messages.RolloutRecord
	for i := range rollouts {
		if r := &rollouts[i]; namesImage(value, r.Ready.Image) && (first == nil || r.Ready.Order < first.Ready.Order) {
			first = r
		}
	}
	return first
}

// digestIn is the digest of the image that a value of the fence config names, or "".
func digestIn(value string) string {
	if i, err := messages.ParseImage(value); err == nil {
		return i.Digest()
	}
	return messages.LocalDigest(value)
}

// namesImage tells whether a value of the fence config names an image, in whichever form.
func namesImage(value string, i messages.Image) bool {
	return value == string(i) || value != "" && messages.LocalDigest(value) == i.Digest()
}

// shown is a value of the fence config for a table: shortened where it is one of ours.
func shown(value string) string {
	if i, err := messages.ParseImage(value); err == nil {
		return overview.Short(i)
	}
	if digest := messages.LocalDigest(value); digest != "" {
		realm, _, _ := strings.Cut(value, ":")
		return realm + ":" + overview.ShortDigest(digest)
	}
	return value
}
