package form

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
)

// Format is how an event looks that a sink is sent.
type Format string

// The formats.
const (
	CloudEvents Format = "cloudevents"
	Slack       Format = "slack"
	Mattermost  Format = "mattermost"
	Teams       Format = "teams"
	Matrix      Format = "matrix"
)

// Formats lists them.
func Formats() []string {
	return []string{string(CloudEvents), string(Slack), string(Mattermost), string(Teams), string(Matrix)}
}

const (
	// DefaultRetryFor is how long a sink that doesn't take an event is tried again.
	DefaultRetryFor = 24 * time.Hour
	// KeptFor is how long the streams keep events where nobody has made them otherwise: what is gone can't be tried again.
	KeptFor = 90 * day
	// RefusalsKeptFor is that of the type refusals.counted.
	RefusalsKeptFor = 30 * day

	day = 24 * time.Hour
)

// Sink is where events go. Fill completes one, and says what is wrong with it.
type Sink struct {
	Name        string
	URL         string // where events are posted; "" where URLFile has it
	URLFile     string // a file with that address: chats' addresses are secrets
	Format      Format // CloudEvents where nothing is said, unless there is a template
	Template    string // the text of a template; "" for a format. Beside Matrix, which is sent in its own way, in place of its form
	SecretFile  string // of the secrets that sign; "" for none
	HeadersFile string // of headers that are sent along; "" for none
	CAFile      string // certificate authorities of the sink, in place of the system's; "" for those
	Types       []string
	Fleets      []string
	Severity    Severity      // the least that is sent
	RetryFor    time.Duration // then an event is given up

	TemplateFile string // that Template is of, for errors

	template *Template
}

// FieldError is what is wrong with a field.
type FieldError struct {
	Field string
	Err   error
}

// Error is the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap is what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

func wrong(field, format string, a ...any) error { return &FieldError{field, fmt.Errorf(format, a...)} }

// Fill gives what is left out its value, and checks all. The error is a *FieldError.
func (s Sink) Fill() (Sink, error) {
	switch {
	case s.URL == "" && s.URLFile == "":
		return s, wrong("url", "is missing: give the address that events are posted to, or name a file that has it as url_file")
	case s.URL != "" && s.URLFile != "":
		return s, wrong("url_file", "is given beside url: leave one of them out")
	case s.Format != "" && s.Format != Matrix && s.Template != "":
		return s, wrong("template", "is given beside format: leave one of them out (beside matrix it may stand, which says how messages are sent)")
	}
	if s.URL != "" {
		if err := CheckURL(s.URL); err != nil {
			return s, &FieldError{"url", err}
		}
	}
	if s.RetryFor == 0 {
		s.RetryFor = DefaultRetryFor
	}
	if err := s.checkRetry(); err != nil {
		return s, &FieldError{"retry_for", err}
	}
	if s.Severity == "" {
		s.Severity = Info
	}
	if s.Template != "" {
		t, err := ParseTemplate(s.TemplateFile, s.Template)
		if err != nil {
			return s, &FieldError{"template", err}
		}
		s.template = t
		return s, nil
	}
	if s.Format == "" {
		s.Format = CloudEvents
	}
	if !slices.Contains(Formats(), string(s.Format)) {
		return s, wrong("format", "%q is no format%s: name one of %s, or a file with a template as template", string(s.Format), suggest.DidYouMean(string(s.Format), Formats()), strings.Join(Formats(), ", "))
	}
	if s.Format != CloudEvents {
		t, err := chat(s.Format)
		if err != nil {
			return s, &FieldError{"format", err}
		}
		s.template = t
	}
	return s, nil
}

// checkRetry tells whether events are kept for as long as they are to be tried.
func (s *Sink) checkRetry() error {
	kept, of := KeptFor, "events"
	if refusals := name(messages.TypeRefusalsCounted); slices.Contains(s.Types, refusals) {
		kept, of = RefusalsKeptFor, "events of the type "+refusals
	}
	if s.RetryFor > kept {
		return fmt.Errorf("%s is longer than %s are kept, which is %d days: give at most %dh", s.RetryFor, of, kept/day, kept/time.Hour)
	}
	return nil
}

// CheckURL tells whether events can be posted to an address. Its errors leave out what comes behind the host, which may be a secret.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is no address such as https://events.example.com/fenceline")
	case u.User != nil:
		return errors.New("has a name or password in it: put an Authorization header into the file of headers_file")
	case u.Fragment != "":
		return fmt.Errorf("of %s has a fragment (#…), which is not sent: leave it out", u.Host)
	}
	if n, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || n < 1 || n > 65535) {
		return fmt.Errorf("has the port %s: ports go from 1 to 65535", u.Port())
	}
	return nil
}

// CheckType tells whether sinks are sent events of a type.
func CheckType(typ string) error {
	if !slices.Contains(Types(), typ) {
		return fmt.Errorf("%q is no type of event%s: these are: %s", messages.Shorten(typ, 100), suggest.DidYouMean(typ, Types()), strings.Join(Types(), ", "))
	}
	return nil
}

// Wants tells whether a sink is sent an event.
func (s *Sink) Wants(e *Event) bool {
	switch {
	case len(s.Types) > 0 && !slices.Contains(s.Types, e.Type), len(s.Types) == 0 && slices.Contains(unasked, e.Type):
		return false
	case len(s.Fleets) > 0 && !e.concerns(s.Fleets):
		return false
	}
	return e.Severity.atLeast(s.Severity)
}

// Asks tells whether a sink may want events of a type.
func (s *Sink) Asks(t messages.Type) bool {
	if len(s.Types) == 0 {
		return !slices.Contains(unasked, name(t))
	}
	return slices.Contains(s.Types, name(t))
}

// Body is what a sink is sent of an event, and its content type.
func (s *Sink) Body(e *Event) (body []byte, contentType string, err error) {
	if s.template == nil {
		body, err = e.CloudEvent()
		return body, CloudEventType, err
	}
	body, err = s.template.Make(e)
	return body, "application/json", err
}

// Digest tells configurations of a sink apart, with the address that events go to.
func (s *Sink) Digest(address string) string {
	said := *s
	said.template, said.URL = nil, address
	text, err := json.Marshal(said)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
