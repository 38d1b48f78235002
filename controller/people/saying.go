package people

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/fenceline/fenceline/messages"
)

// MaxReason is the longest reason of a decision, in bytes: it stands in records that every node reads.
const MaxReason = 1000

// CheckReason refuses a reason that is too long, or no text.
func CheckReason(reason string) error {
	switch {
	case len(reason) > MaxReason:
		return fmt.Errorf("the reason has %d bytes: give it in %d or fewer", len(reason), MaxReason)
	case !utf8.ValidString(reason):
		return fmt.Errorf("the reason is not in UTF-8: write it as text")
	}
	return nil
}

// because adds the person's reason, where there is one, to what is said of a decision.
func because(ctx context.Context, what string) string {
	if reason := messages.Said(ctx); reason != "" {
		return what + ": " + reason
	}
	return what
}

type seenKey struct{}

// OnlyAs is a context for decisions about a fleet that are made only where the fleet's record is still as the person has seen
// it, also after a wait for heartbeats: ErrChanged where is says that it isn't.
func OnlyAs(ctx context.Context, is func(*messages.FleetRecord) bool) context.Context {
	return context.WithValue(ctx, seenKey{}, is)
}

// asSeen tells whether a record is as the person has seen it, or nobody has said how that is.
func asSeen(ctx context.Context, r *messages.FleetRecord) bool {
	is, asked := ctx.Value(seenKey{}).(func(*messages.FleetRecord) bool)
	return !asked || is(r)
}

type rolloutSeenKey struct{}

// OnlyAsRollout is OnlyAs for decisions about a rollout, by the rollout's record.
func OnlyAsRollout(ctx context.Context, is func(*messages.RolloutRecord) bool) context.Context {
	return context.WithValue(ctx, rolloutSeenKey{}, is)
}

// rolloutAsSeen tells whether a rollout's record is as the person has seen it, or nobody has said how that is.
func rolloutAsSeen(ctx context.Context, r *messages.RolloutRecord) bool {
	is, asked := ctx.Value(rolloutSeenKey{}).(func(*messages.RolloutRecord) bool)
	return !asked || is(r)
}
