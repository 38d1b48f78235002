package overview

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Build is a build as `builds` and `status` show it.
type Build struct {
	Build     string            `json:"build"`
	Order     uint64            `json:"order"`
	Pipeline  string            `json:"pipeline"`
	State     string            `json:"state"`         // queued, or a state of the record
	Ref       string            `json:"ref,omitempty"` // the full name of the branch or tag
	Commit    string            `json:"commit,omitempty"`
	Cause     messages.Cause    `json:"cause,omitempty"`
	Reason    *messages.Reason  `json:"reason,omitempty"` // what led to it; nil where its request can't be read
	By        string            `json:"requested_by,omitempty"`
	Matched   string            `json:"matched,omitempty"` // what in the pipeline takes the push, and what of it is not known
	Attempt   int               `json:"attempt,omitempty"`
	Worker    string            `json:"worker,omitempty"`
	Image     messages.Image    `json:"image,omitempty"`
	Received  time.Time         `json:"received,omitzero"`
	Updated   time.Time         `json:"updated,omitzero"`
	Failure   *messages.Failure `json:"failure,omitempty"`
	LastError string            `json:"last_error,omitempty"`
	OnlyIf    string            `json:"only_if,omitempty"`   // what must be so for it to be done
	Unchanged string            `json:"unchanged,omitempty"` // why nothing was built
	Newer     messages.Type     `json:"newer,omitempty"`     // of a queued one that only a newer version of fenceline can build

	Cancelled string            `json:"cancelled,omitempty"` // who cancelled it, and why
	Started   time.Time         `json:"started,omitzero"`    // its attempt, or the last one
	Took      messages.Duration `json:"took,omitempty"`      // that attempt, until it ended
	Place     int               `json:"place,omitempty"`     // of a queued one, in the queue, from 1
	Expected  time.Time         `json:"expected,omitzero"`   // when a queued one is likely to begin, or one that runs to end

	Head       string `json:"head,omitempty"`        // the commit that superseded it, or was its branch's head while it was built
	FollowedBy string `json:"followed_by,omitempty"` // and the build of that
	Ahead      int    `json:"ahead,omitempty"`       // of a queued one: builds of earlier pushes of its branch that it waits for
	Waiting    bool   `json:"waiting,omitempty"`     // of a running one: nobody has it, between two attempts
	Silence    string `json:"silence,omitempty"`     // of a running one: its worker is not heard any more
	Broken     string `json:"broken,omitempty"`      // its request or record can't be read
	Trace      string `json:"trace,omitempty"`       // the ID of the trace that it is on

	inTurn  bool   // it waits for builds of earlier pushes
	claim   string // of its record
	request uint64 // sequence of its request in its stream
}

// The states that no record has.
const (
	StateQueued = "queued"
	StateBroken = "unreadable"
	StateSilent = "silent"  // shown in place of running
	StateWaits  = "waiting" // shown in place of running
)

// Shown is the state as people are told it.
func (b *Build) Shown() string {
	switch {
	case b.Silence != "":
		return StateSilent
	case b.Waiting:
		return StateWaits
	}
	return b.State
}

// Led is what led to the build, in short: without what names the cause.
func (b *Build) Led() string {
	if b.Reason == nil {
		return ""
	}
	return messages.Reason{Kind: b.Reason.Kind, Detail: b.Reason.Detail}.String()
}

// Why says in a line why a build is as it is, or what it made.
func (b *Build) Why() string {
	switch {
	case b.Failure != nil:
		return FirstLine(b.Failure)
	case b.Broken != "":
		return b.Broken
	case b.Silence != "":
		return b.Silence
	case b.Unchanged != "":
		return b.Unchanged
	case b.Cancelled != "":
		return "by " + b.Cancelled
	case b.superseded() && b.FollowedBy != "":
		return "by " + ShortCommit(b.Head) + ", which is build " + b.FollowedBy
	case b.superseded() && b.Head != "":
		return "by " + ShortCommit(b.Head) + ", which is asked for if it was not"
	case b.Image != "":
		return Short(b.Image) + b.unasked()
	case b.LastError != "":
		return "to be tried again: " + b.LastError
	case b.Newer != "":
		return "waits for a builder of a newer version, which reads " + string(b.Newer)
	case b.Ahead > 0:
		return fmt.Sprintf("waits for the builds of earlier pushes of its branch, of which %d have not ended%s", b.Ahead, b.unasked())
	case b.State == StateQueued:
		return "waits for a builder" + b.inLine() + b.unasked()
	case b.State == string(messages.BuildStateRunning):
		return "on " + b.Worker + b.unasked()
	}
	return ""
}

// inLine is where in the queue it is, and when its turn is likely to come.
func (b *Build) inLine() string {
	switch {
	case b.Place == 0:
		return ""
	case b.Expected.IsZero():
		return fmt.Sprintf(", place %d in the queue", b.Place)
	}
	return fmt.Sprintf(", place %d in the queue, likely to begin %s", b.Place, Until(b.Expected, time.Now()))
}

func (b *Build) superseded() bool { return b.State == string(messages.BuildStateSuperseded) }

// unasked says that nobody asked for a build, where that is so, what had changed for it to be done, and why it passed its pipeline's filters, where it has some.
func (b *Build) unasked() string {
	var said []string
	if b.By == messages.SeenAtStart || b.By == messages.SeenByPoll {
		said = append(said, b.By)
	}
	switch {
	case b.Reason != nil && b.Reason.Changed != "":
		said = append(said, b.Reason.Changed)
	case b.OnlyIf != "" && b.Image == "":
		said = append(said, "is built only if "+b.OnlyIf)
	}
	if _, filters, ok := strings.Cut(b.Matched, "; "); ok {
		said = append(said, filters)
	}
	if said == nil {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}

// FirstLine is why a build failed, in a line, and where.
func FirstLine(f *messages.Failure) string {
	line, _, _ := strings.Cut(f.Reason, "\n")
	if f.Place != "" && !strings.Contains(line, f.Place) {
		return f.Place + ": " + line
	}
	return line
}

// Latest is the later of two times.
func Latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// FailedBuilds are the builds that failed, the last of each pipeline, unless a later one of
// the pipeline has made an image. All is as allBuilds has it.
func FailedBuilds(all []Build) []Build {
	last := map[string]*Build{}
	for i := range all {
		b := &all[i]
		if b.State != string(messages.BuildStateSucceeded) && b.Failure == nil {
			continue
		}
		if l := last[b.Pipeline]; l == nil || cmp.Or(cmp.Compare(b.Order, l.Order), b.Updated.Compare(l.Updated)) > 0 {
			last[b.Pipeline] = b
		}
	}
	out := []Build{}
	for _, pipeline := range slices.Sorted(maps.Keys(last)) {
		if b := last[pipeline]; b.Failure != nil {
			out = append(out, *b)
		}
	}
	return out
}
