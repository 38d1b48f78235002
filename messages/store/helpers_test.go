package store_test

import (
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

var (
	guarded     = queuetest.Guarded
	within      = queuetest.Within
	must        = queuetest.Must
	eventually  = queuetest.Eventually
	through     = queuetest.Through
	back        = queuetest.Back
	remake      = queuetest.Remake
	fleetRecord = queuetest.FleetRecord
	newer       = queuetest.Newer
	request     = buildstest.Request
	ready       = buildstest.Ready
	commit      = buildstest.Commit
	work        = buildstest.Work
	consume     = buildstest.Consume
	submit      = buildstest.Submit
	ended       = buildstest.Ended
)
