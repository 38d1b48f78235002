package messages

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Type names a kind of message and its version, as a CloudEvents type.
type Type string

// The types of messages. The last element is the version; everything between typePrefix
// and it names the kind.
const (
	TypeBuildRequested   Type = "dev.fenceline.build.requested.v1"
	TypeBuildStarted     Type = "dev.fenceline.build.started.v1"
	TypeBasePinned       Type = "dev.fenceline.base.pinned.v1"
	TypeBuildFailed      Type = "dev.fenceline.build.failed.v1"
	TypeBuildSuperseded  Type = "dev.fenceline.build.superseded.v1"
	TypeBuildCancelled   Type = "dev.fenceline.build.cancelled.v1"
	TypeBuildLog         Type = "dev.fenceline.build.log.v1"
	TypeImageReady       Type = "dev.fenceline.image.ready.v1"
	TypeNodeFailed       Type = "dev.fenceline.node.failed.v1"
	TypeTrialFinished    Type = "dev.fenceline.trial.finished.v1"
	TypeRolloutChanged   Type = "dev.fenceline.rollout.changed.v1"
	TypeFleetChanged     Type = "dev.fenceline.fleet.changed.v1"
	TypeFenceAsked       Type = "dev.fenceline.fence.asked.v1"
	TypeFenceAnswered    Type = "dev.fenceline.fence.answered.v1"
	TypeDeadLetter       Type = "dev.fenceline.dead.letter.v1"
	TypeCallsAudited     Type = "dev.fenceline.calls.audited.v1"
	TypeRefusalsCounted  Type = "dev.fenceline.refusals.counted.v1"
	TypeDecisionMade     Type = "dev.fenceline.decision.made.v1"
	TypeEventUndelivered Type = "dev.fenceline.event.undelivered.v1"
)

// typePrefix is what every type of fenceline begins with.
const typePrefix = "dev.fenceline."

// registry is the one list of what travels: it has a constructor for each type that this program
// reads, which are the types that it writes and their older versions, of programs from before an
// upgrade. An older version may be read into the struct of a newer one that only added fields.
var registry = map[Type]func() Payload{
	TypeBuildRequested:   func() Payload { return new(BuildRequested) },
	TypeBuildStarted:     func() Payload { return new(BuildStarted) },
	TypeBasePinned:       func() Payload { return new(BasePinned) },
	TypeBuildFailed:      func() Payload { return new(BuildFailed) },
	TypeBuildSuperseded:  func() Payload { return new(BuildSuperseded) },
	TypeBuildCancelled:   func() Payload { return new(BuildCancelled) },
	TypeBuildLog:         func() Payload { return new(BuildLog) },
	TypeImageReady:       func() Payload { return new(ImageReady) },
	TypeNodeFailed:       func() Payload { return new(NodeFailed) },
	TypeTrialFinished:    func() Payload { return new(TrialFinished) },
	TypeRolloutChanged:   func() Payload { return new(RolloutChanged) },
	TypeFleetChanged:     func() Payload { return new(FleetChanged) },
	TypeFenceAsked:       func() Payload { return new(FenceAsked) },
	TypeFenceAnswered:    func() Payload { return new(FenceAnswered) },
	TypeDeadLetter:       func() Payload { return new(DeadLetter) },
	TypeCallsAudited:     func() Payload { return new(CallsAudited) },
	TypeRefusalsCounted:  func() Payload { return new(RefusalsCounted) },
	TypeDecisionMade:     func() Payload { return new(DecisionMade) },
	TypeEventUndelivered: func() Payload { return new(EventUndelivered) },
}

// newPayload is an empty payload of a type. ErrNewer or ErrUnknown where this program has none.
func newPayload(t Type) (Payload, error) {
	if make, ok := registry[t]; ok {
		return make(), nil
	}
	kind, version := t.split()
	for known := range registry {
		if k, v := known.split(); kind != "" && k == kind && compareVersions(version, v) > 0 {
			return nil, fmt.Errorf("%w: %q, where this binary knows %q", ErrNewer, clip(string(t)), known)
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, clip(string(t)))
}

// compareVersions compares versions of split's form, or types of one kind, as the numbers they are.
func compareVersions(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// Versions lists the versions of t's kind that this program reads, the oldest first.
func (t Type) Versions() []Type {
	var out []Type
	for known := range registry {
		if known.kind() == t.kind() {
			out = append(out, known)
		}
	}
	slices.SortFunc(out, func(a, b Type) int { return compareVersions(string(a), string(b)) })
	return out
}

// TypeOf is the type that a message says it has; "" for none.
func TypeOf(m Message) Type {
	t, err := percentDecode(m.Headers.get(headerType))
	if err != nil {
		return ""
	}
	return Type(t)
}

// After is the type of t's kind that is n versions newer.
func (t Type) After(n int) Type {
	kind, version := t.split()
	have, err := strconv.Atoi(strings.TrimPrefix(version, "v"))
	if err != nil {
		return ""
	}
	return Type(fmt.Sprintf("%s%s.v%d", typePrefix, kind, have+n))
}

// Label is the type as a part of names: "build-requested-v1".
func (t Type) Label() string {
	return strings.ReplaceAll(strings.TrimPrefix(string(t), typePrefix), ".", "-")
}

// kind is the type without its prefix and version: "build.requested".
func (t Type) kind() string {
	kind, _ := t.split()
	return kind
}

// split takes "dev.fenceline.build.requested.v1" apart into "build.requested" and "v1".
// Both are empty for a type that isn't of that form.
func (t Type) split() (kind, version string) {
	rest, ok := strings.CutPrefix(string(t), typePrefix)
	if !ok {
		return "", ""
	}
	m := kindForm.FindStringSubmatch(rest)
	if m == nil {
		return "", ""
	}
	return m[1], m[2]
}

// kindForm is two words and a version. A kind of another number of words would be a
// subject of another shape.
var kindForm = regexp.MustCompile(`^([a-z]+\.[a-z]+)\.(v[1-9][0-9]*)$`)
