package builds

import (
	"context"
	"errors"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

func TestOnlyWhatCameAfterAClaimEndsItsAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		revision uint64
		record   messages.BuildRecord
		want     error
	}{
		"a late claim from before":  {4, messages.BuildRecord{State: messages.BuildStateRunning, Claim: "theirs"}, nil},
		"its own claim":             {5, messages.BuildRecord{State: messages.BuildStateRunning, Claim: "ours"}, nil},
		"a change that is no claim": {6, messages.BuildRecord{State: messages.BuildStateRunning, Claim: "ours"}, nil},
		"a claim since":             {6, messages.BuildRecord{State: messages.BuildStateRunning, Claim: "theirs"}, queue.ErrLeaseLost},
		"an end since":              {6, messages.BuildRecord{State: messages.BuildStateSucceeded, Claim: "ours"}, queue.ErrLeaseLost},
		"a person's end since":      {6, messages.BuildRecord{State: messages.BuildStateCancelled, Claim: "ours"}, ErrCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			w := &worker{running: map[string]runningBuild{}}
			w.enter("base-1", runningBuild{"ours", 5, end})
			w.changed(queue.Entry[messages.BuildRecord]{Key: "base-1", Value: test.record, Revision: test.revision})
			if got := context.Cause(ctx); !errors.Is(got, test.want) {
				t.Errorf("the attempt ended with %v, not %v", got, test.want)
			}
		})
	}
}
