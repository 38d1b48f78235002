package messages

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Cause says why a build was asked for.
type Cause string

// The causes.
const (
	CausePush   Cause = "push"   // a forge or a post-receive hook told of a push
	CausePerson Cause = "person" // somebody asked for this commit: it is not superseded by a newer one
	CauseRetry  Cause = "retry"  // somebody asked for an earlier build again
)

// SeenAtStart is who requested the build of a push that nobody told of: a producer that started saw it
// at the branch's head.
const SeenAtStart = "head seen at start"

// SeenByPoll is the same for a producer that looked from time to time.
const SeenByPoll = "head seen by a poll"

// BuildRequested asks for the build of one pipeline at one commit. Its order is the
// sequence number the requests stream gives it, unless it is a retry, which carries the
// order of the first.
type BuildRequested struct {
	Build       string   `json:"build"`
	Order       uint64   `json:"order,omitempty"` // only set by a retry; else see Accepted
	Pipeline    Pipeline `json:"pipeline"`
	Ref         string   `json:"ref,omitempty"`     // the full ref that has the commit at its head, such as refs/heads/main; "" for a tag, and for a commit that a person named
	Tag         string   `json:"tag,omitempty"`     // the tag that was pushed. Its cause is then CausePerson: older builders read it as a commit that somebody named, and build that
	Commit      string   `json:"commit,omitempty"`  // full object name; "" when Context is set
	Context     string   `json:"context,omitempty"` // name of an uploaded context in the object store, or ""
	Cause       Cause    `json:"cause"`
	RequestedBy string   `json:"requested_by,omitempty"` // for people: a forge's user or a token's name
	Reason      *Reason  `json:"reason,omitempty"`       // what led to it, nil where its cause says it all: see Why
	Matched     string   `json:"matched,omitempty"`      // what in the pipeline takes the push, and what of it could not be known, for people
	// NoCache has every step of the Dockerfile run, whatever builders keep of earlier builds: what a package mirror has
	// now is to be in the image.
	NoCache bool `json:"no_cache,omitempty"`
	// OnlyIf has it built only if that is so: OnlyIfChanged, or "" for in any case. A builder that doesn't know a word builds.
	OnlyIf   string    `json:"only_if,omitempty"`
	Received time.Time `json:"received"` // when the producer got it, by the producer's clock
}

// OnlyIfChanged has the head of a branch built only if something has changed since the branch's last image: its commit, what
// the pipeline says of its build, a base, or packages that have updates; or if that can't be known.
const OnlyIfChanged = "changed"

// Conditions are the values that a schedule's only_if has.
func Conditions() []string { return []string{OnlyIfChanged} }

// MessageType is TypeBuildRequested.
func (*BuildRequested) MessageType() Type { return TypeBuildRequested }

func (m *BuildRequested) tokens() []string { return []string{m.Pipeline.Name} }

// Validate names the first field that can't be acted on.
func (m *BuildRequested) Validate() error {
	if err := CheckID("build", m.Build); err != nil {
		return err
	}
	if err := m.Pipeline.Validate(); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	switch m.Cause {
	case CausePush, CausePerson, CauseRetry:
	default:
		return fmt.Errorf("cause: %q is not one of push, person, retry", clip(string(m.Cause)))
	}
	if err := m.Reason.validate(); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	if m.Context != "" {
		if m.Commit != "" {
			return errors.New("commit and context are both set: a build has one source")
		}
		return CheckID("context", m.Context)
	}
	if m.Tag != "" && (m.Ref != "" || CheckBranch(m.Tag) != nil) {
		return fmt.Errorf("tag: %q is not the name of a tag, without a ref: such as %q", clip(m.Tag), "v1.2.0")
	}
	if m.Ref != "" {
		branch, ok := strings.CutPrefix(m.Ref, BranchRefs)
		if !ok || CheckBranch(branch) != nil {
			return fmt.Errorf("ref: %q is not the full name of a branch such as %q", clip(m.Ref), "refs/heads/main")
		}
	}
	return CheckCommit(m.Commit)
}

// Accepted sets the order from the sequence number under which the request is stored,
// unless it carries one already.
func (m *BuildRequested) Accepted(sequence uint64) {
	if m.Order == 0 {
		m.Order = sequence
	}
}

// BuildRef returns which build this asks for.
func (m *BuildRequested) BuildRef() BuildRef {
	return BuildRef{Build: m.Build, Pipeline: m.Pipeline.Name, Order: m.Order}
}

// FullRef is the full name of the branch or tag that has the commit, or "".
func (m *BuildRequested) FullRef() string {
	if m.Tag != "" {
		return TagRefs + m.Tag
	}
	return m.Ref
}

// SetRef sets the branch or tag that has the commit, by its full name, and what comes with it: the branch of the
// pipeline, and the cause of a tag that was pushed.
func (m *BuildRequested) SetRef(ref string) {
	m.Pipeline = m.Pipeline.At(ref)
	if tag, ok := strings.CutPrefix(ref, TagRefs); ok {
		m.Tag, m.Cause = tag, CausePerson
		return
	}
	m.Ref = ref
}

// FollowsHead tells whether it asks for a commit as the head of its branch, or as its tag's: a builder looks whether it
// still is. See Yields for what then becomes of it.
func (m *BuildRequested) FollowsHead() bool {
	return m.Cause == CausePush || m.Cause == CausePerson && m.FullRef() != ""
}

// Yields tells whether a build that it asks for is superseded where its branch has another head, or its tag another
// commit. What a person asked for is built, and so is each push where the pipeline says that; but a head that was found
// without a push is only wanted as long as it is one.
func (m *BuildRequested) Yields() bool {
	return m.Tag != "" || m.Cause == CausePush && (m.Pipeline.Concurrency != ConcurrencyQueue || m.Why().Kind == ReasonPoll || m.Reason.Afresh())
}

// InTurn tells whether its build begins only when those of earlier pushes of its branch have ended.
func (m *BuildRequested) InTurn() bool {
	return m.Ref != "" && m.Cause == CausePush && m.Pipeline.Concurrency == ConcurrencyQueue
}

// SamePush tells whether o, which comes later, asks for the same thing, so that it
// is a duplicate when nothing came between.
func (m *BuildRequested) SamePush(o *BuildRequested) bool {
	if m.Cause == CauseRetry && m.Order != o.Order {
		return false // each keeps its own order
	}
	return m.Ref == o.Ref && m.Tag == o.Tag && m.Commit == o.Commit && m.Cause == o.Cause && m.Context == o.Context &&
		m.Reason.covers(o.Reason) && (m.Commit != "" || m.Cause == CauseRetry)
}

// Serves tells whether the build that m asked for is what o, which comes later, asks for too: as long as it has not ended,
// nobody needs another one. It goes further than SamePush: who says that a commit is the head of a branch may have been
// told so by a forge, have looked, or be a person; and a person who names the commit wants it on whichever branch it is.
//
// What a person asks for, or pushes, is built, and they are told how it goes, so that one that may come to nothing is none of theirs.
func (m *BuildRequested) Serves(o *BuildRequested) bool {
	if m.OnlyIf != "" && o.OnPurpose() {
		return false
	}
	if m.SamePush(o) {
		return true
	}
	if m.Commit == "" || m.Commit != o.Commit || m.Cause == CauseRetry || o.Cause == CauseRetry || !m.Reason.covers(o.Reason) {
		return false // a retry has a place of its own among the builds
	}
	return m.FullRef() == o.FullRef() || !o.FollowsHead() || !m.FollowsHead() && o.Tag == ""
}

// OnPurpose tells whether somebody asked for the build, or pushed for it.
func (m *BuildRequested) OnPurpose() bool {
	switch m.Why().Kind {
	case ReasonPush, ReasonTag, ReasonPerson:
		return true
	}
	return false
}

// everyRequest is what a build request has in every version, by the same names: which build
// it is, and what makes two requests the same push. A version that changed one of these could
// not run beside the one before it.
type everyRequest struct {
	Build    string `json:"build"`
	Order    uint64 `json:"order"`
	Pipeline struct {
		Name string `json:"name"`
	} `json:"pipeline"`
	Ref         string    `json:"ref"`
	Tag         string    `json:"tag"`
	Commit      string    `json:"commit"`
	Context     string    `json:"context"`
	Cause       Cause     `json:"cause"`
	Reason      *Reason   `json:"reason"`
	RequestedBy string    `json:"requested_by"`
	Received    time.Time `json:"received"`
}

// NewerRequest reads from a build request of a newer version than this program's what every
// version has. The rest is left zero: it is enough to say which build it is and whether another
// request is the same push, not to build it.
func NewerRequest(m Message) (*BuildRequested, bool) {
	t := TypeOf(m)
	_, version := t.split()
	_, own := TypeBuildRequested.split()
	if t.kind() != TypeBuildRequested.kind() || compareVersions(version, own) <= 0 {
		return nil, false
	}
	var r everyRequest
	if json.Unmarshal(m.Body, &r) != nil || CheckID("build", r.Build) != nil || CheckName("pipeline", r.Pipeline.Name) != nil {
		return nil, false
	}
	return &BuildRequested{
		Build: r.Build, Order: r.Order, Pipeline: Pipeline{Name: r.Pipeline.Name}, Ref: r.Ref, Tag: r.Tag, Commit: r.Commit,
		Context: r.Context, Cause: r.Cause, Reason: r.Reason, RequestedBy: r.RequestedBy, Received: r.Received,
	}, true
}

// WithOrder is a build request that carries an order, as a retry does, in the version that it
// has: it says the same to the workers of that version. One that carries an order keeps it.
func WithOrder(m Message, order uint64) (Message, *BuildRequested, error) {
	_, r, err := DecodeAs[*BuildRequested](m)
	if err != nil || r.Order != 0 {
		return m, r, err
	}
	var fields map[string]json.RawMessage // those of the version, which may be others than this program's
	if err := json.Unmarshal(m.Body, &fields); err != nil {
		return m, r, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	fields["order"] = json.RawMessage(strconv.FormatUint(order, 10))
	r.Order = order
	m.Body, err = json.Marshal(fields)
	return m, r, err
}

// DecodeStored reads a message that a stream keeps under a sequence. A build request gets its
// order; of one of a newer version than this program's it has only what every version has, and
// newer is its type.
func DecodeStored(m Message, sequence uint64) (e Envelope, p Payload, newer Type, err error) {
	e, p, err = Decode(m)
	if errors.Is(err, ErrNewer) {
		if r, ok := NewerRequest(m); ok {
			p, newer, err = r, TypeOf(m), nil
		}
	}
	if r, ok := p.(*BuildRequested); ok {
		r.Accepted(sequence)
	}
	return e, p, newer, err
}
