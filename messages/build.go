package messages

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// BuildRef says which build a message is about. Every message about a build has it.
type BuildRef struct {
	Build    string `json:"build"`           // the build's ID
	Pipeline string `json:"pipeline"`        // the pipeline's name
	Order    uint64 `json:"order,omitempty"` // the number the request got when it was accepted
}

func (r *BuildRef) tokens() []string { return []string{r.Pipeline, r.Build} }

// Validate names the first field that can't be acted on.
func (r *BuildRef) Validate() error {
	if err := CheckID("build", r.Build); err != nil {
		return err
	}
	return CheckName("pipeline", r.Pipeline)
}

// Cause says why a build was asked for.
type Cause string

// The causes.
const (
	CausePush   Cause = "push"   // a forge or a post-receive hook told of a push
	CausePerson Cause = "person" // somebody asked for this commit: it is not superseded by a newer one
	CauseRetry  Cause = "retry"  // somebody asked for an earlier build again
)

// BuildRequested asks for the build of one pipeline at one commit. Its order is the
// sequence number the requests stream gives it, unless it is a retry, which carries the
// order of the first.
type BuildRequested struct {
	Build       string    `json:"build"`
	Order       uint64    `json:"order,omitempty"` // only set by a retry; else see Accepted
	Pipeline    Pipeline  `json:"pipeline"`
	Ref         string    `json:"ref,omitempty"`     // the full ref that has the commit at its head, such as refs/heads/main; "" for a commit that a person named
	Commit      string    `json:"commit,omitempty"`  // full object name; "" when Context is set
	Context     string    `json:"context,omitempty"` // name of an uploaded context in the object store, or ""
	Cause       Cause     `json:"cause"`
	RequestedBy string    `json:"requested_by,omitempty"` // for people: a forge's user or a token's name
	Received    time.Time `json:"received"`               // when the producer got it, by the producer's clock
}

// MessageType is TypeBuildRequested.
func (*BuildRequested) MessageType() Type  { return TypeBuildRequested }
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
	if m.Context != "" {
		if m.Commit != "" {
			return errors.New("commit and context are both set: a build has one source")
		}
		return CheckID("context", m.Context)
	}
	if m.Ref != "" {
		branch, ok := strings.CutPrefix(m.Ref, "refs/heads/")
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

// SamePush tells whether both ask for the same thing for the same reason, so that the
// later is a duplicate when nothing came between.
func (m *BuildRequested) SamePush(o *BuildRequested) bool {
	return m.Ref == o.Ref && m.Commit == o.Commit && m.Cause == o.Cause && m.Context == o.Context && m.Commit != ""
}

// BuildStarted tells that a worker has claimed a build.
type BuildStarted struct {
	BuildRef
	Attempt int    `json:"attempt"` // from 1
	Worker  string `json:"worker"`
	Commit  string `json:"commit,omitempty"`
}

// MessageType is TypeBuildStarted.
func (*BuildStarted) MessageType() Type { return TypeBuildStarted }

// PinnedBase is an image source of a Dockerfile and what it resolved to.
type PinnedBase struct {
	Source string `json:"source"` // as the Dockerfile means it, normalised, with its tag
	Image  Image  `json:"image"`  // what it resolved to
}

// BasePinned tells which images a build starts from, before it is solved.
type BasePinned struct {
	BuildRef
	Attempt int           `json:"attempt"`
	Bases   []PinnedBase  `json:"bases"`
	Fleets  []FleetTarget `json:"fleets,omitempty"`
}

// MessageType is TypeBasePinned.
func (*BasePinned) MessageType() Type { return TypeBasePinned }

// Validate names the first field that can't be acted on.
func (m *BasePinned) Validate() error {
	if err := m.BuildRef.Validate(); err != nil {
		return err
	}
	if err := checkBases(m.Bases); err != nil {
		return err
	}
	return checkFleets(m.Fleets)
}

func checkBases(bases []PinnedBase) error {
	for i, b := range bases {
		if _, err := ParseImage(string(b.Image)); err != nil {
			return fmt.Errorf("bases[%d]: %w", i, err)
		}
	}
	return nil
}

func checkFleets(fleets []FleetTarget) error {
	for i := range fleets {
		if err := fleets[i].validate(); err != nil {
			return fmt.Errorf("fleets[%d]: %w", i, err)
		}
	}
	return nil
}

// FailureClass says whose fault a failure is, and so who can mend it.
type FailureClass string

// The classes of failure.
const (
	FailureUser           FailureClass = "user"           // the repository, Dockerfile or a RUN step
	FailureHooks          FailureClass = "hooks"          // the hook gate refused the image
	FailureInfrastructure FailureClass = "infrastructure" // tried as often as allowed, elsewhere too
	FailureTimeout        FailureClass = "timeout"        // the pipeline's timeout
)

// Finding is something wrong with an admin hook, or worth a warning.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // from 1; 0 when it is about the whole file
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
	Warning bool   `json:"warning,omitempty"` // shown, but the image passes
}

// String is FILE:LINE: PROBLEM; FIX, as far as there are a line and a fix.
func (f Finding) String() string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if f.Fix == "" {
		return place + ": " + f.Problem
	}
	return fmt.Sprintf("%s: %s; %s", place, f.Problem, f.Fix)
}

// Failure says why a build ended without an image.
type Failure struct {
	Class    FailureClass `json:"class"`
	Reason   string       `json:"reason"`           // the cause, for people
	Place    string       `json:"place,omitempty"`  // file and line where known, such as Dockerfile:3
	Detail   string       `json:"detail,omitempty"` // last lines of output or an excerpt
	Fix      string       `json:"fix,omitempty"`    // what to do
	Findings []Finding    `json:"findings,omitempty"`
}

// BuildFailed ends a build: no image, and why.
type BuildFailed struct {
	BuildRef
	Attempt int     `json:"attempt"`
	Commit  string  `json:"commit,omitempty"`
	Failure Failure `json:"failure"`
}

// MessageType is TypeBuildFailed.
func (*BuildFailed) MessageType() Type { return TypeBuildFailed }

// BuildSuperseded ends a build whose commit is no longer the head of its branch.
type BuildSuperseded struct {
	BuildRef
	Commit string `json:"commit"`
	Head   string `json:"head"` // the commit that is
}

// MessageType is TypeBuildSuperseded.
func (*BuildSuperseded) MessageType() Type { return TypeBuildSuperseded }

// BuildCancelled ends a build that somebody cancelled.
type BuildCancelled struct {
	BuildRef
	By string `json:"by,omitempty"`
}

// MessageType is TypeBuildCancelled.
func (*BuildCancelled) MessageType() Type { return TypeBuildCancelled }

// Step names a step of the flow, for people who watch it.
type Step string

// The steps of a build and a rollout, in order.
const (
	StepReceived     Step = "received"
	StepQueued       Step = "queued"
	StepClaimed      Step = "claimed"
	StepPinned       Step = "base pinned"
	StepBuilt        Step = "built"
	StepHooksChecked Step = "hooks checked"
	StepPushed       Step = "pushed"
	StepAnnounced    Step = "announced"
	StepPresent      Step = "present"
	StepTrialPassed  Step = "trial passed"
	StepFlipped      Step = "flipped"
)

// BuildLog is a piece of a build's progress: a step reached, or output.
type BuildLog struct {
	BuildRef
	Attempt int    `json:"attempt"`
	Step    Step   `json:"step,omitempty"`   // set when a step was reached
	Vertex  string `json:"vertex,omitempty"` // the BuildKit vertex, as people know it: [2/3] RUN …
	Text    string `json:"text,omitempty"`   // output or a remark; may hold several lines
	Error   bool   `json:"error,omitempty"`  // the vertex or the step failed
}

// MessageType is TypeBuildLog.
func (*BuildLog) MessageType() Type { return TypeBuildLog }

// ImageReady tells that an image is built, checked and in the registry, and carries what
// its rollouts need. A build has at most one, ever.
type ImageReady struct {
	BuildRef
	Image    Image         `json:"image"`
	Tag      string        `json:"tag"` // label for people, without the name
	Commit   string        `json:"commit,omitempty"`
	Ref      string        `json:"ref,omitempty"`
	HooksDir string        `json:"hooks_dir"`
	Hooks    []string      `json:"hooks,omitempty"` // admin hooks that the image has, of the three names
	Bases    []PinnedBase  `json:"bases,omitempty"`
	Bytes    int64         `json:"bytes,omitempty"` // compressed size of the layers
	Fleets   []FleetTarget `json:"fleets,omitempty"`
	Warnings []Finding     `json:"warnings,omitempty"`
	Received time.Time     `json:"received"` // when the request was received, for the time it took
}

// MessageType is TypeImageReady.
func (*ImageReady) MessageType() Type { return TypeImageReady }

// Validate names the first field that can't be acted on.
func (m *ImageReady) Validate() error {
	if err := m.BuildRef.Validate(); err != nil {
		return err
	}
	if _, err := ParseImage(string(m.Image)); err != nil {
		return err
	}
	if m.Order == 0 {
		return errors.New("order: is missing")
	}
	if err := checkTag(m.Tag); err != nil {
		return fmt.Errorf("tag: %w", err)
	}
	if m.HooksDir != "" {
		if err := checkHooksDir(m.HooksDir); err != nil {
			return fmt.Errorf("hooks_dir: %w", err)
		}
	}
	if err := checkBases(m.Bases); err != nil {
		return err
	}
	return checkFleets(m.Fleets)
}
