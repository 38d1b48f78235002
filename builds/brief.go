package builds

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// What an outcome and a record hold of texts that others wrote.
const (
	// reasonMost bounds, in bytes, the text of an error that goes into a record or a message.
	reasonMost = 8 << 10
	// findingsMost and findingMost bound the number of findings, and the bytes of each text in them.
	findingsMost = 200
	findingMost  = 512
	// recordRoom is what the record of an ended build may still grow by, with its headers.
	recordRoom = 4 << 10
)

// brief cuts the text of an error to what a record can hold, and keeps its cause.
func brief(text string) string { return messages.ShortenMiddle(text, reasonMost) }

// briefFailure cuts all texts of a failure. Of the output it keeps the end, which tells most.
func briefFailure(f messages.Failure) messages.Failure {
	f.Reason, f.Place, f.Fix = brief(f.Reason), messages.Shorten(f.Place, findingMost), brief(f.Fix)
	f.Detail = messages.ShortenHead(f.Detail, reasonMost)
	f.Findings = briefFindings(f.Findings)
	return f
}

// briefFindings cuts findings in number and length, and says how many it left out. Done again
// it changes nothing.
func briefFindings(all []messages.Finding) []messages.Finding {
	var out []messages.Finding
	listed := all
	if len(all) > findingsMost {
		listed = all[:findingsMost-1]
	}
	for _, f := range listed {
		f.File, f.Problem, f.Fix = messages.Shorten(f.File, findingMost), messages.Shorten(f.Problem, findingMost), messages.Shorten(f.Fix, findingMost)
		out = append(out, f)
	}
	if left := len(all) - len(listed); left > 0 {
		last := all[len(all)-1]
		out = append(out, messages.Finding{
			File: messages.Shorten(last.File, findingMost), Problem: fmt.Sprintf("%d more findings are not listed", left),
			Fix: "mend those that are, and build again", Warning: last.Warning, More: left,
		})
	}
	return out
}

// slim leaves out of a record the request, which is only kept to be asked for again, where the record can't be written with
// it, and marked later, and then cuts what producers say for people. The requests stream has all of it until the build has
// ended. It returns how long the record is then.
func (q *Queue) slim(r *messages.BuildRecord) (bytes int, err error) {
	body, err := json.Marshal(r)
	if err == nil && len(body) > q.recordMost() && r.Asked != nil {
		r.Asked = nil
		body, err = json.Marshal(r)
	}
	if err == nil && len(body) > q.recordMost() {
		r.By, r.Matched = brief(r.By), brief(r.Matched)
		if r.Reason != nil {
			why := *r.Reason
			why.Detail, why.Changed = brief(why.Detail), brief(why.Changed)
			r.Reason = &why
		}
		body, err = json.Marshal(r)
	}
	return len(body), err
}

// recordMost is how long a record may be.
func (q *Queue) recordMost() int { return int(q.c.MaxPayload()) - recordRoom }

// fit makes the record of an ended build one that can be written, as slim does. queue.ErrTooLarge where the outcome alone is
// too large.
func (q *Queue) fit(r *messages.BuildRecord) error {
	bytes, err := q.slim(r)
	if most := q.recordMost(); err == nil && bytes > most {
		err = queue.Permanent(fmt.Errorf("the outcome of build %s is %w: its record has %d bytes where %d fit: name fewer bases or fleets, or raise max_payload of the server",
			r.Build, queue.ErrTooLarge, bytes, most))
	}
	return err
}

// kept is the request of a build, as its record keeps it, or else its stream. queue.ErrNotFound where neither does.
func (q *Queue) kept(ctx context.Context, r *messages.BuildRecord) (messages.Message, error) {
	if r.Asked != nil {
		return *r.Asked, nil
	}
	s, err := q.c.At(ctx, q.c.Space().RequestsStream(), r.Request)
	if err != nil {
		return messages.Message{}, err
	}
	found, err := q.c.Decode(s)
	if asked, ok := found.Payload.(*messages.BuildRequested); err != nil || !ok || asked.Build != r.Build {
		return messages.Message{}, queue.ErrNotFound // a stream that was made anew has something else there
	}
	return s.Message, nil
}
