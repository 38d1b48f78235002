package cli

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestToWaitForABuildCostsNothingForTheOthers waits for one build of many, and counts what the server sends.
func TestToWaitForABuildCostsNothingForTheOthers(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	name := ""
	for range 300 {
		name = messages.NewBuildID("base")
		create(t, store.Builds(c), name, messages.BuildRecord{
			BuildRef: messages.BuildRef{Build: name, Pipeline: "base", Order: 1}, State: messages.BuildStateSucceeded, Announced: true,
		})
	}
	s := &session{queue: c, out: io.Discard}
	for what, wait := range map[string]func(){
		"submit --wait": func() {
			if end, err := s.endOf(queuetest.Within(t), name); end == nil || end.Build != name {
				t.Errorf("the end is %+v, %v", end, err)
			}
		},
		"logs -f": func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			s.untilEnded(ctx, name, cancel)
			if !errors.Is(context.Cause(ctx), errEnded) {
				t.Errorf("it ends with %v", context.Cause(ctx))
			}
		},
	} {
		sent := func() int64 {
			v, err := server.Server().Varz(nil)
			queuetest.Must(t, err)
			return v.OutMsgs
		}
		before := sent()
		wait()
		if n := sent() - before; n > 100 {
			t.Errorf("%s: the server sends %d messages for one build of 300", what, n)
		}
	}
}
