package overview

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
)

// Letter is a dead letter with the name that commands take.
type Letter struct {
	Name string `json:"name"`
	messages.DeadLetter
	Build string           `json:"build,omitempty"`     // of a build request that can be read
	Led   *messages.Reason `json:"led_to_it,omitempty"` // and what led to that
}

// NewLetter is a dead letter, and what it says of a build.
func NewLetter(l messages.DeadLetter) Letter {
	out := Letter{Name: builds.LetterName(l), DeadLetter: l}
	_, p, _ := messages.Decode(messages.Message{Headers: l.Headers, Body: l.Body}) // nil for what can't be read
	if r, ok := p.(*messages.BuildRequested); ok {
		why := r.Why()
		out.Build, out.Led = r.Build, &why
	}
	return out
}

// Content is what a letter's message says.
type Content struct {
	Text   string
	Binary bool // it is no text: Text shows its bytes in hexadecimal
	More   int  // bytes beside those that are shown
}

// Content is the body of the letter's message as people can read it, at most so many bytes of it: JSON by lines, other text as it is,
// and anything else byte by byte.
func (l *Letter) Content(most int) Content {
	body := l.Body
	if !utf8.Valid(body) {
		shown := body[:min(len(body), most/8)] // each takes several characters
		return Content{Text: hex.Dump(shown), Binary: true, More: len(body) - len(shown)}
	}
	if len(body) <= most {
		var lines bytes.Buffer
		if json.Indent(&lines, body, "", "  ") == nil && lines.Len() <= 4*most {
			return Content{Text: lines.String()}
		}
		return Content{Text: string(body)}
	}
	end := most
	for end > 0 && !utf8.RuneStart(body[end]) {
		end--
	}
	return Content{Text: string(body[:end]), More: len(body) - end}
}
