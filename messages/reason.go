package messages

import (
	"errors"
	"fmt"
	"strings"
)

// ReasonKind is what led to a build.
type ReasonKind string

// The kinds of reasons. A request's Cause says how it is treated, its reason what led to it.
const (
	ReasonPush     ReasonKind = "push"     // a forge or a post-receive hook told of a push to a branch
	ReasonTag      ReasonKind = "tag"      // the same, to a tag
	ReasonPoll     ReasonKind = "poll"     // a producer found the commit at the head of a branch or tag
	ReasonSchedule ReasonKind = "schedule" // its time had come
	ReasonBase     ReasonKind = "base"     // an image that it builds on has changed
	ReasonCascade  ReasonKind = "cascade"  // another pipeline's image, which it builds on, has changed
	ReasonPerson   ReasonKind = "person"   // somebody asked for it
	ReasonRetry    ReasonKind = "retry"    // somebody asked for an earlier build again
)

// reasonLinkLimit bounds the link of a reason, in bytes, as an image's name with a digest and a tag does.
const reasonLinkLimit = 1024

// Reason is what led to a build.
type Reason struct {
	Kind ReasonKind `json:"kind"`
	// Link names what caused it: for base NAME@DIGEST of the image as it is now, for cascade and retry a build's ID, for
	// schedule the time that had come, in UTC as RFC 3339 has it, for push and tag the forge's name of the delivery, where
	// it has one. It is "" where nothing can be named.
	Link string `json:"link,omitempty"`
	// Detail says it for people: the schedule, the base as the Dockerfile names it.
	Detail string `json:"detail,omitempty"`
	// Changed says for people what the builder found that has changed, where it was to build only then. It is no part of what
	// was asked for.
	Changed string `json:"changed,omitempty"`
}

// Afresh tells whether the same commit is built once more for it.
func (r *Reason) Afresh() bool {
	return r != nil && (r.Kind == ReasonSchedule || r.Kind == ReasonBase || r.Kind == ReasonCascade)
}

// covers tells whether a commit that was asked for by r is built for later as well.
func (r *Reason) covers(later *Reason) bool {
	return !later.Afresh() || r != nil && r.Kind == later.Kind && r.Link == later.Link && r.Detail == later.Detail
}

// String is the reason for people: its kind, and what caused it.
func (r Reason) String() string {
	said := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", r.Kind, r.Detail, r.Link)), " ")
	if r.Changed != "" {
		said += ": " + r.Changed
	}
	return said
}

// validate names the first field that can't be acted on. A kind that this program doesn't know is a newer one's: what
// a request is treated by is its cause.
func (r *Reason) validate() error {
	switch {
	case r == nil:
		return nil
	case r.Kind == "":
		return errors.New("kind: missing: what led to the build, such as push")
	case len(r.Link) > reasonLinkLimit:
		return fmt.Errorf("link: %q has %d bytes: at most %d", clip(r.Link), len(r.Link), reasonLinkLimit)
	}
	return nil
}

// Why is what led to the request. Requests of programs that don't say it have it from their cause.
func (m *BuildRequested) Why() Reason { return why(m.Reason, m.Cause, m.FullRef(), m.RequestedBy) }

// Why is what led to the build. Records of programs that don't say it have it from their cause.
func (r *BuildRecord) Why() Reason { return why(r.Reason, r.Cause, r.Ref, r.By) }

func why(r *Reason, c Cause, ref, by string) Reason {
	switch {
	case r != nil:
		return *r
	case c == CauseRetry:
		return Reason{Kind: ReasonRetry}
	case strings.HasPrefix(ref, TagRefs):
		return Reason{Kind: ReasonTag}
	case c == CausePush && by == SeenAtStart:
		return Reason{Kind: ReasonPoll}
	case c == CausePush:
		return Reason{Kind: ReasonPush}
	default:
		return Reason{Kind: ReasonPerson}
	}
}
