package messages

import (
	"fmt"
	"slices"
	"strings"
)

// DefaultPrefix is the prefix of subjects, streams and buckets where none is configured.
const DefaultPrefix = "fenceline"

// Space is one installation's part of a NATS account: every subject, stream and bucket
// name begins with its prefix, so that installations can share a server. The zero value
// uses DefaultPrefix.
type Space struct{ prefix string }

// NewSpace returns the space with the given prefix, a DNS label; "" means DefaultPrefix.
func NewSpace(prefix string) (Space, error) {
	if prefix == "" {
		return Space{}, nil
	}
	if err := CheckName("prefix", prefix); err != nil {
		return Space{}, err
	}
	return Space{prefix}, nil
}

// Prefix returns the prefix.
func (s Space) Prefix() string {
	if s.prefix == "" {
		return DefaultPrefix
	}
	return s.prefix
}

// subject is PREFIX.KIND.VERSION and the tokens.
func (s Space) subject(t Type, tokens ...string) string {
	kind, version := t.split()
	return strings.Join(append([]string{s.Prefix(), kind, version}, tokens...), ".")
}

// Subject is where p is published. It has a token for each thing a consumer filters by.
func (s Space) Subject(p Payload) string { return s.subject(p.MessageType(), p.tokens()...) }

// SubjectAs is where p was published as a message of type t, of p's kind but perhaps older.
func (s Space) SubjectAs(t Type, p Payload) string { return s.subject(t, p.tokens()...) }

// TypeAt is the type of the messages on a subject; "" for one that is of no message.
func (s Space) TypeAt(subject string) Type {
	parts := strings.SplitN(subject, ".", 5)
	if len(parts) < 4 || parts[0] != s.Prefix() {
		return ""
	}
	t := Type(typePrefix + strings.Join(parts[1:4], "."))
	if t.kind() == "" {
		return ""
	}
	return t
}

// Filter is the subject filter for messages of type t; tokens narrow it from the left.
func (s Space) Filter(t Type, tokens ...string) string {
	return s.subject(t, slices.Concat(tokens, []string{">"})...)
}

// BuildSubject is the subject of a build's one terminal or announcing message of type t.
func (s Space) BuildSubject(t Type, pipeline, build string) string {
	return s.subject(t, pipeline, build)
}

// RequestSubject is where a pipeline's build requests go.
func (s Space) RequestSubject(pipeline string) string { return s.subject(TypeBuildRequested, pipeline) }

// AnyRequest is the filter for a pipeline's build requests of all versions.
func (s Space) AnyRequest(pipeline string) string { return s.AnyVersion(TypeBuildRequested, pipeline) }

// AnyVersion is the filter for all versions of t's kind, or for those on subjects that end with
// the tokens.
func (s Space) AnyVersion(t Type, tokens ...string) string {
	if len(tokens) == 0 {
		return s.Prefix() + "." + t.kind() + ".>"
	}
	return s.Prefix() + "." + t.kind() + ".*." + strings.Join(tokens, ".")
}

// RequestSubjects are what the requests stream stores.
func (s Space) RequestSubjects() []string { return []string{s.AnyVersion(TypeBuildRequested)} }

// LogSubjects are what the logs stream stores.
func (s Space) LogSubjects() []string { return []string{s.AnyVersion(TypeBuildLog)} }

// EventSubjects are what the events stream stores.
func (s Space) EventSubjects() []string {
	return s.anyOf(TypeBuildStarted, TypeBasePinned, TypeBuildFailed, TypeBuildSuperseded, TypeBuildCancelled, TypeImageReady, TypeRolloutChanged)
}

// ReportSubjects are what the reports stream stores.
func (s Space) ReportSubjects() []string { return s.anyOf(reportTypes...) }

// LetterSubjects are what the letters stream stores.
func (s Space) LetterSubjects() []string { return s.anyOf(TypeDeadLetter) }

// AuditSubjects are what the audit stream stores.
func (s Space) AuditSubjects() []string { return s.anyOf(TypeCallsAudited) }

// RefusalSubjects are what the refusals stream stores.
func (s Space) RefusalSubjects() []string { return s.anyOf(TypeRefusalsCounted) }

// DecisionSubjects are what the decisions stream stores.
func (s Space) DecisionSubjects() []string { return s.anyOf(TypeDecisionMade) }

// SinkSubjects are what the sinks stream stores.
func (s Space) SinkSubjects() []string { return s.anyOf(TypeEventUndelivered) }

var reportTypes = []Type{TypeNodeFailed, TypeTrialFinished}

func (s Space) anyOf(types ...Type) []string {
	var out []string
	for _, t := range types {
		out = append(out, s.AnyVersion(t))
	}
	return out
}

// EventStream is the stream that stores the events of a type: nodes report into one of their own, so that
// a noisy one pushes out nobody else's.
func (s Space) EventStream(t Type) string {
	if slices.ContainsFunc(reportTypes, func(r Type) bool { return r.kind() == t.kind() }) {
		return s.ReportsStream()
	}
	return s.EventsStream()
}

// The streams.

// RequestsStream keeps build requests, one subject per pipeline.
func (s Space) RequestsStream() string { return s.Prefix() + "-requests" }

// EventsStream keeps what happened to builds and rollouts.
func (s Space) EventsStream() string { return s.Prefix() + "-events" }

// ReportsStream keeps what nodes report.
func (s Space) ReportsStream() string { return s.Prefix() + "-reports" }

// LettersStream keeps the dead letters.
func (s Space) LettersStream() string { return s.Prefix() + "-letters" }

// AuditStream keeps who asked for what, and what became of it.
func (s Space) AuditStream() string { return s.Prefix() + "-audit" }

// RefusalsStream keeps how often strangers were refused: apart, so that they push out nothing else.
func (s Space) RefusalsStream() string { return s.Prefix() + "-refusals" }

// DecisionsStream keeps what people decided, or were refused.
func (s Space) DecisionsStream() string { return s.Prefix() + "-decisions" }

// SinksStream keeps events that people sent to sinks again.
func (s Space) SinksStream() string { return s.Prefix() + "-sinks" }

// LogsStream keeps builds' progress.
func (s Space) LogsStream() string { return s.Prefix() + "-logs" }

// The buckets.

// BuildsBucket has a BuildRecord per build, by build ID.
func (s Space) BuildsBucket() string { return s.Prefix() + "-builds" }

// RolloutsBucket has a RolloutRecord per rollout, by rollout ID.
func (s Space) RolloutsBucket() string { return s.Prefix() + "-rollouts" }

// FleetsBucket has a FleetRecord per fleet, by name.
func (s Space) FleetsBucket() string { return s.Prefix() + "-fleets" }

// MembersBucket has a Member per node, by NodeKey.
func (s Space) MembersBucket() string { return s.Prefix() + "-members" }

// NodesBucket has a NodeStatus per live node, by NodeKey; entries expire.
func (s Space) NodesBucket() string { return s.Prefix() + "-nodes" }

// FenceBucket is the embedded fence config.
func (s Space) FenceBucket() string { return s.Prefix() + "-fence" }

// StatusesBucket has what forges were told of commits: a ForgeStatus by ForgeStatusKey, and a ForgeProblem by
// ForgeProblemKey.
func (s Space) StatusesBucket() string { return s.Prefix() + "-statuses" }

// TriggersBucket has what producers share of triggers, so that each leads to one request however many of them run: when
// a schedule's time came last, which digests and heads were seen.
func (s Space) TriggersBucket() string { return s.Prefix() + "-triggers" }

// CallsBucket has a KeyedCall for each call with an Idempotency-Key, for as long as the key counts.
func (s Space) CallsBucket() string { return s.Prefix() + "-calls" }

// ContextsStore is the object store of build contexts sent from a developer's machine.
func (s Space) ContextsStore() string { return s.Prefix() + "-contexts" }

// NodeKey is a node's key in the nodes and members buckets. The fleet comes first, so that a
// credential and a reader can be confined to one fleet.
func NodeKey(fleet, node string) string { return fleet + "." + node }

// ParseNodeKey takes a key of NodeKey apart.
func ParseNodeKey(key string) (fleet, node string, err error) {
	fleet, node, ok := strings.Cut(key, ".")
	if !ok || CheckName("fleet", fleet) != nil || CheckName("node", node) != nil {
		return "", "", fmt.Errorf("key %q is not FLEET.NODE", clip(key))
	}
	return fleet, node, nil
}

// About is the CloudEvents subject of a message: the build, rollout, node or fleet that it is
// about.
func About(p Payload) string {
	if r, ok := p.(*BuildRequested); ok {
		return r.Build // its subject ends with the pipeline
	}
	tokens := p.tokens()
	return tokens[len(tokens)-1]
}
