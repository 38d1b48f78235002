package queue_test

import (
	"errors"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/builds/buildstest"
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
	guarded     = queuetest.Guarded
	credentials = queuetest.Credentials
	image       = buildstest.Image
	ready       = buildstest.Ready
	request     = buildstest.Request
)

// says tells whether an error's text has some words, or names a field: "field NAME".
func says(err error, what string) bool {
	var named *queue.FieldError
	field, ok := strings.CutPrefix(what, "field ")
	if ok && errors.As(err, &named) {
		return slices.Contains(named.Fields, field)
	}
	return strings.Contains(err.Error(), what)
}
