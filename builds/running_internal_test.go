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

// TestAnAttemptWhoseRecordsStartOver goes on to see what is written, though the bucket was made anew, at lower revisions.
func TestAnAttemptWhoseRecordsStartOver(t *testing.T) {
	ctx, end := context.WithCancelCause(t.Context())
	defer end(nil)
	w := &worker{running: map[string]runningBuild{}}
	w.enter("base-1", runningBuild{"ours", 50, end})
	see := func(revision uint64, state messages.BuildState, interrupted bool, claim string) error {
		e := queue.Entry[messages.BuildRecord]{Key: "base-1", Value: messages.BuildRecord{State: state, Claim: "ours"}, Revision: revision}
		if interrupted {
			w.startOver(e, claim)
		}
		w.changed(e)
		return context.Cause(ctx)
	}
	if err := see(2, messages.BuildStateCancelled, false, "ours"); err != nil {
		t.Errorf("what comes late ends it: %v", err)
	}
	if err := see(2, messages.BuildStateCancelled, true, "earlier"); err != nil {
		t.Errorf("what was read before it was claimed ends it: %v", err)
	}
	if err := see(2, messages.BuildStateRunning, true, "ours"); err != nil {
		t.Errorf("its own record ends it: %v", err)
	}
	if err := see(3, messages.BuildStateCancelled, false, "ours"); !errors.Is(err, ErrCancelled) {
		t.Errorf("cancelled after that, it ended with %v", err)
	}
}
