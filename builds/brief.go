package builds

import (
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

// fit makes the record of an ended build one that can be written, and marked later: the
// request, which is only kept to be asked for again, makes way for the outcome. queue.ErrTooLarge
// where the outcome alone is too large.
func (q *Queue) fit(r *messages.BuildRecord) error {
	most := int(q.c.MaxPayload()) - recordRoom
	body, err := json.Marshal(r)
	if err == nil && len(body) > most && r.Asked != nil {
		r.Asked = nil
		body, err = json.Marshal(r)
	}
	if err == nil && len(body) > most {
		err = queue.Permanent(fmt.Errorf("the outcome of build %s is %w: its record has %d bytes where %d fit: name fewer bases or fleets, or raise max_payload of the server",
			r.Build, queue.ErrTooLarge, len(body), most))
	}
	return err
}
