package messages

import (
	"errors"
	"fmt"
	"slices"
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

// BuildStarted tells that a worker has claimed a build.
type BuildStarted struct {
	BuildRef
	Attempt int     `json:"attempt"` // from 1
	Worker  string  `json:"worker"`
	Commit  string  `json:"commit,omitempty"`
	Reason  *Reason `json:"reason,omitempty"` // as the request has it
}

// MessageType is TypeBuildStarted.
func (*BuildStarted) MessageType() Type { return TypeBuildStarted }

// PinnedBase is an image source of a Dockerfile and what it resolved to.
type PinnedBase struct {
	Source string `json:"source"` // as the Dockerfile means it, normalised, with its tag
	Image  Image  `json:"image"`  // what it resolved to
	// Fixed is that the Dockerfile, or a build argument, gives the digest: whatever the tag names later, it stays.
	Fixed bool `json:"fixed,omitempty"`
}

// Tagged is the repository of a base that can become another image, without its tag, and false of one that can't.
func (b *PinnedBase) Tagged() (repository string, ok bool) {
	i := strings.LastIndex(b.Source, ":")
	if b.Fixed || i < strings.LastIndex(b.Source, "/") || i < 0 {
		return "", false
	}
	return b.Source[:i], true
}

// BasePinned tells which images a build starts from, before it is solved.
type BasePinned struct {
	BuildRef
	Attempt int          `json:"attempt"`
	Bases   []PinnedBase `json:"bases"`
	// Unfetched are bases as well, but none that nodes should fetch ahead: the image won't have their layers as they are.
	Unfetched []PinnedBase  `json:"unfetched,omitempty"`
	Fleets    []FleetTarget `json:"fleets,omitempty"`
}

// All lists the bases, whether nodes should fetch them or not.
func (m *BasePinned) All() []PinnedBase { return slices.Concat(m.Bases, m.Unfetched) }

// MessageType is TypeBasePinned.
func (*BasePinned) MessageType() Type { return TypeBasePinned }

// Validate names the first field that can't be acted on.
func (m *BasePinned) Validate() error {
	if err := m.BuildRef.Validate(); err != nil {
		return err
	}
	if err := checkBases("bases", m.Bases); err != nil {
		return err
	}
	if err := checkBases("unfetched", m.Unfetched); err != nil {
		return err
	}
	return checkFleets(m.Fleets)
}

func checkBases(field string, bases []PinnedBase) error {
	for i, b := range bases {
		if _, err := ParseImage(string(b.Image)); err != nil {
			return fmt.Errorf("%s[%d]: %w", field, i, err)
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
	Line    int    `json:"line,omitempty"`   // from 1; 0 when it is about the whole file
	Column  int    `json:"column,omitempty"` // from 1, in characters; 0 where it is not known
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
	Warning bool   `json:"warning,omitempty"` // shown, but the image passes
	More    int    `json:"more,omitempty"`    // of one that stands for others, which are not listed: how many
}

// String is FILE:LINE:COLUMN: PROBLEM; FIX, as far as there are a line, a column and a fix.
func (f Finding) String() string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if f.Line > 0 && f.Column > 0 {
		place = fmt.Sprintf("%s:%d", place, f.Column)
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
	Commit     string `json:"commit"`
	Head       string `json:"head"`                  // the commit that is
	FollowedBy string `json:"followed_by,omitempty"` // the build of that, where it was asked for already
	Running    bool   `json:"running,omitempty"`     // it ran when the branch was pushed to
	Overtaken  int    `json:"overtaken,omitempty"`   // as the record has it
}

// MessageType is TypeBuildSuperseded.
func (*BuildSuperseded) MessageType() Type { return TypeBuildSuperseded }

// BuildCancelled ends a build that somebody cancelled, or that was to be built only if something had changed, where nothing
// has. The two are one type, so that no stream, consumer or credential has to know another.
type BuildCancelled struct {
	BuildRef
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"` // what they said of it
	// Unchanged says for people why nothing was built; "" where it was cancelled.
	Unchanged string `json:"unchanged,omitempty"`
}

// MessageType is TypeBuildCancelled.
func (*BuildCancelled) MessageType() Type { return TypeBuildCancelled }

// ImageReady tells that an image is built, checked and in the registry, and carries what
// its rollouts need. A build has at most one, ever.
type ImageReady struct {
	BuildRef
	Image Image  `json:"image"`
	Tag   string `json:"tag"` // label for people, without the name
	// MovingTag names the pipeline's newest image; "" where the pipeline has none.
	MovingTag string        `json:"moving_tag,omitempty"`
	Commit    string        `json:"commit,omitempty"`
	Ref       string        `json:"ref,omitempty"`
	Reason    *Reason       `json:"reason,omitempty"` // what led to the build, as its request has it
	HooksDir  string        `json:"hooks_dir"`
	Hooks     []string      `json:"hooks,omitempty"` // admin hooks that the image has, of the three names
	Bases     []PinnedBase  `json:"bases,omitempty"`
	Bytes     int64         `json:"bytes,omitempty"` // compressed size of the layers
	Fleets    []FleetTarget `json:"fleets,omitempty"`
	Warnings  []Finding     `json:"warnings,omitempty"`
	Received  time.Time     `json:"received"` // when the request was received, for the time it took
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
	if m.MovingTag != "" {
		if err := checkTag(m.MovingTag); err != nil {
			return fmt.Errorf("moving_tag: %w", err)
		}
	}
	if m.HooksDir != "" {
		if err := checkHooksDir(m.HooksDir); err != nil {
			return fmt.Errorf("hooks_dir: %w", err)
		}
	}
	if err := checkBases("bases", m.Bases); err != nil {
		return err
	}
	return checkFleets(m.Fleets)
}

// BuildState is how far a build is.
type BuildState string

// The states of a build. All but BuildStateRunning are final.
const (
	BuildStateRunning    BuildState = "running"
	BuildStateSucceeded  BuildState = "succeeded"
	BuildStateFailed     BuildState = "failed"
	BuildStateSuperseded BuildState = "superseded"
	BuildStateCancelled  BuildState = "cancelled"
	BuildStateUnchanged  BuildState = "unchanged" // it was to be built only if something had changed
)

// BuildRecord is the state of a build, in the builds bucket under its ID. It is written
// first by the worker that claims the request, or by who wishes something of a build that is queued (WantedBy), and
// changed only by revision.
type BuildRecord struct {
	BuildRef
	State     BuildState `json:"state"`
	Attempt   int        `json:"attempt"`          // the number of claims so far
	Worker    string     `json:"worker,omitempty"` // who claimed it last
	Claim     string     `json:"claim,omitempty"`  // random, to recognise an own write whose answer was lost
	Request   uint64     `json:"request"`          // sequence of the request in its stream
	Commit    string     `json:"commit,omitempty"`
	Ref       string     `json:"ref,omitempty"`
	Cause     Cause      `json:"cause,omitempty"`        // why it was asked for
	Reason    *Reason    `json:"reason,omitempty"`       // as the request has it: see Why
	By        string     `json:"requested_by,omitempty"` // who asked for it, for people
	Matched   string     `json:"matched,omitempty"`      // as the request has it
	OnlyIf    string     `json:"only_if,omitempty"`      // as the request has it
	Image     Image      `json:"image,omitempty"`
	Tag       string     `json:"tag,omitempty"`
	Failure   *Failure   `json:"failure,omitempty"`
	LastError string     `json:"last_error,omitempty"` // of the last attempt that infrastructure failed
	Received  time.Time  `json:"received"`
	Updated   time.Time  `json:"updated"`
	// Outcome is the exact message that ends the build, kept before it is published, so
	// that whoever finds the record can finish the announcement.
	Outcome *Message `json:"outcome,omitempty"`
	// Announced is set once Outcome is known to be stored in the events stream.
	Announced bool `json:"announced,omitempty"`
	// Asked is the request as it was accepted, so that it can be asked for again when its
	// stream has been cleared; nil where the record would be too large with it.
	Asked *Message `json:"asked,omitempty"`
	// Returned counts the claims that were handed back without a failure, as the worker was stopped
	// or the repository doesn't show the commit yet.
	Returned int `json:"returned,omitempty"`
	// Failures counts the attempts that infrastructure failed. One that ended without a word, with
	// its worker's lease, is none.
	Failures int `json:"failures,omitempty"`
	// Failing is how long the build has been tried again: the attempts since the first failure, and
	// the pauses between.
	Failing Duration `json:"failing,omitempty"`
	// Waiting is set while nobody has the build, between two attempts.
	Waiting bool `json:"waiting,omitempty"`
	// Head is the commit that superseded the build, or that was at the branch's head while another one was built, and
	// FollowedBy the build of that one, once it is known to be asked for.
	Head       string `json:"head,omitempty"`
	FollowedBy string `json:"followed_by,omitempty"`
	// WantedBy is who asked for the commit by itself while this build of it as a head was queued or ran, and was answered
	// with it: it is built even when its branch moves on.
	WantedBy string `json:"wanted_by,omitempty"`
	// Overtaken is how many builds in a row, the last of them this one, were superseded by a commit whose own build was
	// superseded then.
	Overtaken int `json:"overtaken,omitempty"`
	// Unchanged says for people why nothing was built, in state BuildStateUnchanged.
	Unchanged string `json:"unchanged,omitempty"`
	// Cancelled says for people who cancelled it, and why, in state BuildStateCancelled.
	Cancelled string `json:"cancelled,omitempty"`
	// Started is when the attempt that is under way, or was the last, was claimed, by its worker's clock, and Took how long that
	// one had the build until it ended. Older builders write neither.
	Started time.Time `json:"started,omitzero"`
	Took    Duration  `json:"took,omitempty"`
	// Updates is the digest of the list of packages that had updates before it was built, where they were asked for: an
	// image that has the same ones doesn't take them.
	Updates string `json:"updates,omitempty"`
	// Deliveries is how often the request had been delivered when the build was claimed last.
	Deliveries int `json:"deliveries,omitempty"`
	// Context is the name of the uploaded context that the build was made from, as long as it is kept.
	Context string `json:"context,omitempty"`
	// Trace is the ID of the trace that the build is on, as the logs of whoever had to do with it say it.
	Trace string `json:"trace,omitempty"`
}

// Ended tells whether the build is over.
func (r *BuildRecord) Ended() bool { return r.State != BuildStateRunning && r.State != "" }

// Queued tells whether no worker has claimed the build yet: the record was made for what somebody wishes of it.
func (r *BuildRecord) Queued() bool { return r.Attempt == 0 && !r.Ended() }

// Finished tells whether the build is over and nothing is left to do for it.
func (r *BuildRecord) Finished() bool {
	return r.Ended() && r.Announced && (r.Head == "" || r.FollowedBy != "") && r.Context == ""
}
