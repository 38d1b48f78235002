package form

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
)

// Event is what a message tells, as templates see it.
type Event struct {
	ID       string // the same each time that it is sent, and of no other event
	Type     string // such as build.failed
	Severity Severity
	Text     string // one sentence, for people, with nothing in it that can't be seen
	Time     time.Time
	Fleets   []string // that it concerns; none for what concerns none
	Fleet    string   // the one, where it is one
	Pipeline string
	Build    string
	Commit   string
	Rollout  string
	Node     string
	Image    string
	State    string // of a rollout
	By       string // the person, of what a person did
	Link     string // to its page in the console; "" where that has no address
	Data     any    // the message's body, as JSON has it

	envelope messages.Envelope
	typ      messages.Type
	body     json.RawMessage
	reason   string // of a dead letter: the stream it is of
}

// Site is what is known of an installation beside its messages.
type Site struct {
	Console string              // address of the console, without a slash at its end; "" for none
	Fleets  map[string][]string // that a pipeline feeds
}

// textMost bounds a sentence, in bytes.
const textMost = 1000

// Of is the event that a decoded message tells. It is false for messages that no sink is sent.
func (s *Site) Of(e messages.Envelope, p messages.Payload, body json.RawMessage) (*Event, bool) {
	if !known(p.MessageType()) {
		return nil, false
	}
	sum := sha256.Sum256([]byte(e.Source + "\x00" + e.ID))
	out := &Event{
		ID: "msg_" + hex.EncodeToString(sum[:16]), Type: name(p.MessageType()), Severity: severityOf(p), Time: e.Time,
		envelope: e, typ: p.MessageType(), body: body,
	}
	out.fill(s, p)
	out.Text = oneLine(sentence(p))
	out.Link = s.link(out)
	if len(out.Fleets) == 1 {
		out.Fleet = out.Fleets[0]
	}
	_ = json.Unmarshal(out.body, &out.Data) // it was decoded before
	return out, true
}

// fill takes what the event is about out of a message.
func (e *Event) fill(s *Site, p messages.Payload) {
	switch p := p.(type) {
	case *messages.BuildStarted:
		e.of(s, &p.BuildRef, p.Commit)
	case *messages.BasePinned:
		e.of(s, &p.BuildRef, "")
		e.Fleets = fleetsOf(p.Fleets)
	case *messages.BuildFailed:
		e.of(s, &p.BuildRef, p.Commit)
	case *messages.BuildSuperseded:
		e.of(s, &p.BuildRef, p.Commit)
	case *messages.BuildCancelled:
		e.of(s, &p.BuildRef, "")
		e.By = p.By
	case *messages.ImageReady:
		e.of(s, &p.BuildRef, p.Commit)
		e.Fleets, e.Image = fleetsOf(p.Fleets), string(p.Image)
	case *messages.RolloutChanged:
		e.Fleets, e.Rollout, e.Build, e.Image, e.State, e.By = []string{p.Fleet}, p.Rollout, p.Build, string(p.Image), string(p.State), p.By
	case *messages.NodeFailed:
		e.Fleets, e.Node, e.Rollout, e.Image = []string{p.Fleet}, p.Node, p.Rollout, string(p.Image)
	case *messages.TrialFinished:
		e.Fleets, e.Node, e.Rollout, e.Image = []string{p.Fleet}, p.Node, p.Rollout, string(p.Image)
	case *messages.DecisionMade:
		e.By = p.By
		if p.Fleet != "" {
			e.Fleets = []string{p.Fleet}
		}
	case *messages.DeadLetter:
		e.reason = p.Stream
		small := *p // what it keeps may be large, and 'dead-letters show' has it
		small.Headers, small.Body = nil, nil
		if body, err := json.Marshal(small); err == nil {
			e.body = body
		}
	}
}

// of takes in a build, of which the fleets are those that its pipeline feeds.
func (e *Event) of(s *Site, r *messages.BuildRef, commit string) {
	e.Pipeline, e.Build, e.Commit, e.Fleets = r.Pipeline, r.Build, commit, s.Fleets[r.Pipeline]
}

func fleetsOf(targets []messages.FleetTarget) []string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Fleet)
	}
	return out
}

// link is the page of the console that shows most of an event. What is no name leads nowhere: chats would take it for markup.
func (s *Site) link(e *Event) string {
	switch {
	case s.Console == "":
		return ""
	case messages.CheckID("rollout", e.Rollout) == nil:
		return s.Console + "/rollouts/" + e.Rollout
	case len(e.Fleets) > 0 && messages.CheckName("fleet", e.Fleets[0]) == nil:
		return s.Console + "/fleets/" + e.Fleets[0]
	}
	return s.Console + "/"
}

// Lanes are the lines that an event stands in, of which each is sent in order: those of its fleets, and of its pipeline.
func (e *Event) Lanes() []string {
	var out []string
	for _, f := range e.Fleets {
		out = append(out, "fleet "+f)
	}
	if e.Pipeline != "" {
		out = append(out, "pipeline "+e.Pipeline)
	}
	if len(out) == 0 {
		out = []string{""}
	}
	return out
}

// OfSinks tells whether it is the dead letter of an event that a sink didn't take: no sink is told of those, as two that are
// away would tell each other for ever.
func (e *Event) OfSinks(s messages.Space) bool { return e.reason == s.SinksStream() }

// String is the event for logs.
func (e *Event) String() string { return fmt.Sprintf("%s %s", e.Type, e.envelope.ID) }

// oneLine makes one line of text, of bounded length, and visible what is not.
func oneLine(s string) string {
	return messages.Shorten(terminal.Visible(strings.Join(strings.Fields(s), " ")), textMost)
}

// concerns tells whether an event is about one of some fleets.
func (e *Event) concerns(fleets []string) bool {
	return slices.ContainsFunc(e.Fleets, func(f string) bool { return slices.Contains(fleets, f) })
}
