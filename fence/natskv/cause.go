package natskv

import (
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
)

// The headers that keep what a value comes from.
const (
	headerEpoch   = "Fenceline-Epoch"
	headerRollout = "Fenceline-Rollout"
	headerBuild   = "Fenceline-Build"
	headerOrder   = "Fenceline-Order"
	headerBy      = "Fenceline-By"
	headerReason  = "Fenceline-Reason"
)

// wordsMost bounds a text that a person gave, in a header.
const wordsMost = 1000

// headersOf keeps a cause; none for the zero one.
func headersOf(c fence.Cause) messages.Headers {
	if c == (fence.Cause{}) {
		return nil
	}
	return messages.Headers{
		headerEpoch: {strconv.FormatUint(c.Epoch, 10)}, headerRollout: {c.Rollout},
		headerBuild: {c.Build}, headerOrder: {strconv.FormatUint(c.Order, 10)},
		headerBy: {words(c.By)}, headerReason: {words(c.Reason)},
	}
}

// causeOf reads it back. What can't be read is not known.
func causeOf(h messages.Headers) fence.Cause {
	first := func(name string) string {
		if v := h[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	c := fence.Cause{Rollout: first(headerRollout), Build: first(headerBuild), By: first(headerBy), Reason: first(headerReason)}
	c.Epoch, _ = strconv.ParseUint(first(headerEpoch), 10, 64)
	c.Order, _ = strconv.ParseUint(first(headerOrder), 10, 64)
	return c
}

// words is a text as it can stand in a header: on one line, and not longer than wordsMost.
func words(text string) string {
	return messages.Shorten(strings.Join(strings.Fields(text), " "), wordsMost)
}
