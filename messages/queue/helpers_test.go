package queue_test

import (
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

const testTime = queuetest.TestTime

var (
	within      = queuetest.Within
	must        = queuetest.Must
	eventually  = queuetest.Eventually
	through     = queuetest.Through
	back        = queuetest.Back
	guarded     = queuetest.Guarded
	credentials = queuetest.Credentials
	image       = buildstest.Image
	ready       = buildstest.Ready
	request     = buildstest.Request
)
