package builds_test

import (
	"context"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func failed(class messages.FailureClass) *messages.BuildFailed {
	return &messages.BuildFailed{Failure: messages.Failure{Class: class, Reason: "no"}}
}

func TestRetriesOfTwoBuildsOfOneSourceKeepTheirOwnOrders(t *testing.T) {
	for name, source := range map[string]func(*messages.BuildRequested){
		"a commit": func(r *messages.BuildRequested) { r.Cause, r.Ref = messages.CausePerson, "" },
		"a context": func(r *messages.BuildRequested) {
			r.Cause, r.Ref, r.Commit, r.Context = messages.CausePerson, "", "", "context-a"
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			stop := consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) {
				return failed(messages.FailureUser), nil
			}))
			var first [2]builds.Accepted
			for i := range first {
				r := request("base", 1)
				source(r)
				first[i] = submit(t, c, r)
				ended(t, c, first[i].Build)
			}
			settled(t, c)
			stop()
			var again [2]builds.Accepted
			for range 2 { // asked twice, each is one
				for i := range first {
					a, err := queueOf(c).Retry(within(t), first[i].Build, "ann")
					must(t, err)
					if a.Order != first[i].Order {
						t.Errorf("the retry of %+v is %+v", first[i], a)
					}
					again[i] = a
				}
			}
			if again[0].Build == again[1].Build {
				t.Errorf("both are %+v", again[0])
			}
			b, err := queueOf(c).Retry(within(t), first[1].Build, "ann")
			must(t, err)
			if !b.Duplicate || b.Build != again[1].Build {
				t.Errorf("asked again at once it is %+v after %+v", b, again[1])
			}
			consume(t, c, work(succeed))
			for i := range again {
				if r := ended(t, c, again[i].Build); r.State != messages.BuildStateSucceeded || r.Order != first[i].Order {
					t.Errorf("record is %+v", r)
				}
			}
		})
	}
}
