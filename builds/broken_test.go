package builds_test

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// garbled are bodies of a build's record that nobody can read.
var garbled = map[string]string{
	"no JSON":              `{"build":`,
	"of another type":      `[1,2]`,
	"a field's type":       `{"build":"base-x","state":7}`,
	"a duration":           `{"build":"base-x","state":"running","failing":"soon"}`,
	"empty":                ``,
	"the record of others": `{"build":"base-other","pipeline":"base","state":"running"}`,
}

func TestARequestWhoseRecordCanNotBeReadIsADeadLetterAndHoldsNothingUp(t *testing.T) {
	for name, body := range garbled {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			r := request("base", 1)
			_, err := queuetest.JetStream(t, c).Publish(within(t), store.Builds(c).Subject(r.Build), []byte(body))
			must(t, err)
			submit(t, c, r)
			var last builds.Accepted
			for n := 2; n <= 4; n++ {
				last = submit(t, c, request("base", n))
			}
			consume(t, c, work(succeed))
			letters := dead(t, c, 1)
			if !strings.Contains(letters[0].Reason, r.Build) || !strings.Contains(letters[0].Reason, "can't be read") {
				t.Errorf("the letter is %+v", letters[0])
			}
			ended(t, c, last.Build)
			settled(t, c)
			report, err := queueOf(c).Sweep(within(t))
			must(t, err)
			if report.Cleared != 3 {
				t.Errorf("the sweep did %+v", report)
			}
			must(t, errorOf(queueOf(c).RequeueDeadLetter(within(t), builds.LetterName(letters[0]), "ann")))
			queuetest.Eventually(t, "it is built under another ID, in its order", func() bool {
				list, err := store.Builds(c).List(t.Context())
				must(t, err)
				for _, e := range list {
					if e.Value.Order == 1 && e.Key != r.Build && e.Value.State == messages.BuildStateSucceeded {
						return true
					}
				}
				return false
			})
		})
	}
}

func TestAPushWhoseBuildHasAnUnreadableRecordIsBuiltAgain(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	_, err := queuetest.JetStream(t, c).Publish(within(t), store.Builds(c).Subject(r.Build), []byte("{"))
	must(t, err)
	submit(t, c, r)
	consume(t, c, work(succeed))
	dead(t, c, 1)
	b := submit(t, c, request("base", 1))
	if b.Duplicate || b.Repeats != r.Build {
		t.Fatalf("the forge's redelivery is %+v", b)
	}
	if got := ended(t, c, b.Build); got.State != messages.BuildStateSucceeded {
		t.Errorf("record is %+v", got)
	}
}
