package overview

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// PastValue is a value that a fleet's fence config had.
type PastValue struct {
	At      string `json:"at"` // RFC 3339, by the store's clock
	Value   string `json:"value"`
	Digest  string `json:"digest,omitempty"` // of the image that the value names
	Build   string `json:"build,omitempty"`  // of the image, where fenceline built it
	Order   uint64 `json:"order,omitempty"`
	Ref     string `json:"ref,omitempty"` // the branch or tag that it was built of, by its full name
	Commit  string `json:"commit,omitempty"`
	Rollout string `json:"rollout,omitempty"`
	Epoch   uint64 `json:"epoch,omitempty"` // of the fleet's record, by which it was decided; 0 where that isn't known
	By      string `json:"by,omitempty"`    // who decided; nobody is known of what was set past fenceline
	Reason  string `json:"reason,omitempty"`
	Store   string `json:"store,omitempty"` // where it stood, of messages.FenceKinds

	Set time.Time `json:"-"` // At
}

// History is what a fleet's fence config was, oldest first: as much as is kept. Rollouts are the fleet's.
func History(ctx context.Context, q *queue.Client, fleet string, rollouts []messages.RolloutRecord) ([]PastValue, error) {
	changes, err := backends.History(ctx, q, fleet)
	if err != nil {
		return nil, err
	}
	return pastValues(changes, rollouts), nil
}

func pastValues(changes []fence.Change, rollouts []messages.RolloutRecord) []PastValue {
	out := []PastValue{}
	causes := causesOf(changes, rollouts)
	for i, c := range changes {
		v := PastValue{
			At: c.At.UTC().Format(time.RFC3339), Value: c.Value, Digest: digestIn(c.Value), Epoch: c.Cause.Epoch, By: c.Cause.By, Reason: c.Cause.Reason,
			Store: c.Kind, Set: c.At,
		}
		if r := causes[i]; r != nil {
			v.Build, v.Order, v.Ref, v.Commit, v.Rollout = r.Ready.Build, r.Ready.Order, r.Ready.Ref, r.Ready.Commit, r.ID
		}
		if by := c.Cause; by.Rollout != "" { // its record may be gone
			v.Build, v.Order, v.Rollout = by.Build, by.Order, by.Rollout
		}
		out = append(out, v)
	}
	return out
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

// ShownValue is a value of the fence config in short: shortened where it is one of ours.
func ShownValue(value string) string {
	if i, err := messages.ParseImage(value); err == nil {
		return Short(i)
	}
	if digest := messages.LocalDigest(value); digest != "" {
		realm, _, _ := strings.Cut(value, ":")
		return realm + ":" + ShortDigest(digest)
	}
	return value
}

// Again is how a fleet can go back to an image that it had.
type Again struct {
	Rollback bool   // by a rollback, which sets a hold; else by a promotion
	Why      string // it can't; "" where it can
}

// AgainTo says how an image that a fleet had can be made current again: an older one by a rollback, a newer one, or one that only a
// rollout still names, by a promotion. Has is how many of the members report it present.
func AgainTo(f *messages.FleetRecord, rollouts []messages.RolloutRecord, v *PastValue, has, members int) Again {
	named := func(i messages.FleetImage) bool { return !i.IsZero() && i.Image.Digest() == v.Digest }
	kept := decide.Kept(f)
	i := slices.IndexFunc(kept, named)
	rollout := slices.IndexFunc(rollouts, func(r messages.RolloutRecord) bool { return r.Ready.Image.Digest() == v.Digest })
	switch {
	case v.Digest == "":
		return Again{Why: "it is no image by digest"}
	case named(f.Current):
		return Again{Why: "it is current"}
	case i < 0 && rollout < 0:
		return Again{Why: "the fleet keeps it no more, and the record of its rollout is gone: build it again"}
	case members > 0 && has == 0:
		return Again{Why: "no node has it any more: build it again"}
	case members > 0 && has < decide.Quorum(policyOf(rollouts, rollout), members):
		return Again{Why: fmt.Sprintf("only %d of %s have it", has, Counted(members, "node"))}
	}
	return Again{Rollback: i >= 0 && kept[i].Order < f.Current.Order}
}

// policyOf is the policy of a rollout, or what counts where there is none.
func policyOf(rollouts []messages.RolloutRecord, i int) *messages.Policy {
	if i < 0 {
		return new(messages.DefaultPolicy())
	}
	return &rollouts[i].Policy
}
