package builds_test

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

const testTime = queuetest.TestTime

var (
	within      = queuetest.Within
	must        = queuetest.Must
	eventually  = queuetest.Eventually
	through     = queuetest.Through
	back        = queuetest.Back
	commit      = buildstest.Commit
	request     = buildstest.Request
	image       = buildstest.Image
	ready       = buildstest.Ready
	work        = buildstest.Work
	shortly     = buildstest.Shortly
	consume     = buildstest.Consume
	submit      = buildstest.Submit
	queueOf     = buildstest.Of
	ended       = buildstest.Ended
	fleetRecord = queuetest.FleetRecord
	newer       = queuetest.Newer
)

// endings lists the events that end builds, by the type's middle and the build.
func endings(t *testing.T, c *queue.Client) map[string]int {
	t.Helper()
	s := c.Space()
	out := map[string]int{}
	must(t, c.Read(within(t), c.Space().EventsStream(), queue.ReadOptions{Filters: []string{
		s.Filter(messages.TypeImageReady), s.Filter(messages.TypeBuildFailed),
		s.Filter(messages.TypeBuildSuperseded), s.Filter(messages.TypeBuildCancelled),
	}}, func(r queue.Received) error {
		kind := strings.TrimSuffix(strings.TrimPrefix(string(r.Payload.MessageType()), "dev.fenceline."), ".v1")
		out[kind+" "+r.Subject[strings.LastIndexByte(r.Subject, '.')+1:]]++
		return nil
	}))
	return out
}

// errorOf is the error of what returns a value, too.
func errorOf[T any](_ T, err error) error { return err }
