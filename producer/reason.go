package producer

import (
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// reasonAnswer is what led to a build, in an answer: a messages.Reason.
type reasonAnswer struct {
	Kind   string `json:"kind" doc:"push, tag, poll, schedule, base, cascade, person or retry"`
	Link   string `json:"link,omitempty" doc:"what names the cause: of push and tag the forge's name of the delivery"`
	Detail string `json:"detail,omitempty" doc:"the same for people: the forge, or whose token it was"`
}

func answered(r messages.Reason) reasonAnswer {
	return reasonAnswer{Kind: string(r.Kind), Link: r.Link, Detail: r.Detail}
}

// maxDeliveryBytes is far above a UUID, which forges name a delivery by.
const maxDeliveryBytes = 128

// reason is what leads to a build of a push: the delivery, as its forge names it.
func (d *delivery) reason(forge string, e *event) *messages.Reason {
	kind := messages.ReasonPush
	if _, ok := e.tag(); ok {
		kind = messages.ReasonTag
	}
	return &messages.Reason{Kind: kind, Link: d.name(), Detail: forge}
}

// name is the forge's name of the delivery. It is not signed, and so is cut down to what such names have.
func (d *delivery) name() string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, d.id[:min(len(d.id), maxDeliveryBytes)])
}

// byCaller is what leads to a build that a call asks for.
func byCaller(who string) *messages.Reason {
	return &messages.Reason{Kind: messages.ReasonPerson, Detail: "token " + who}
}
