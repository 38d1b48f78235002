package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Decisions. A page shows what a decision will do, and takes a reason. It is carried out by the code
// that the command line calls, where the records are still as the page showed them; else the page shows what has changed, and
// asks anew.

// decideTime bounds a decision: a promotion waits for three heartbeats of the nodes.
const decideTime = 90 * time.Second

// errUnsure tells that a decision may have been carried out, or not: NATS did not answer in time.
var errUnsure = errors.New("it is not known whether it was done")

// decision is what a person decides about something.
type decision interface {
	// read reads the records that it is about, as they are now.
	read(ctx context.Context, c *Console) error
	// title says what is decided about what, as on the button.
	title() string
	// subject names what it is about for the log, and tells it apart from all else.
	subject() string
	// told is what the event of it says, as the command line words it: what is decided about what.
	told() messages.DecisionMade
	// needsReason tells whether it must have a reason: its record keeps that. Of others the log alone has it.
	needsReason() bool
	// exists tells whether there is, by the records that were read, what is to be decided about.
	exists() bool
	// facts are what a person decides by, of the records that were read.
	facts() []fact
	// foresee says on its page what it will do.
	foresee(c *Console, p *preview)
	// carryOut does it where the records are still as they were read, and says what it did.
	carryOut(ctx context.Context, c *Console, by, reason string) (string, error)
	// page is the page that shows the outcome.
	page() string
}

// serveDecision serves the page of a decision, or takes its form. It is nil where there is no such decision.
func (c *Console) serveDecision(w http.ResponseWriter, r *http.Request, s *session, d decision) {
	switch {
	case d == nil:
		c.fail(w, r, s, http.StatusNotFound, "There is no such decision.")
	case r.Method == http.MethodPost:
		c.decide(w, r, s, d)
	default:
		c.showAction(w, r, s, d, "", nil, nil)
	}
}

// The ways in which the form of a decision can be none.
var (
	errFormUnreadable = errors.New("the form can't be read: open the page again")
	errFormTooLarge   = fmt.Errorf("the form has more than %d bytes: give the reason in %d or fewer", maxForm, people.MaxReason)
	errFormNotShown   = errors.New("this form was sent already, or was not shown to you: open the page again, and see what is so")
)

// readForm reads the form of a decision, before anything looks into it.
func readForm(r *http.Request) error {
	if r.Method != http.MethodPost {
		return nil
	}
	err := r.ParseForm()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return errFormTooLarge
	}
	if err != nil {
		return errFormUnreadable
	}
	return nil
}

// decide takes the form of a decision.
func (c *Console) decide(w http.ResponseWriter, r *http.Request, s *session, d decision) {
	shown, was := s.takeForm(r.PostForm.Get("form"))
	if !was || shown.path != r.URL.Path || shown.to != r.PostForm.Get("to") {
		c.tellRefused(r, s, d, errFormNotShown)
		c.fail(w, r, s, statusOf(errFormNotShown), "Nothing was done now: "+errFormNotShown.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), decideTime)
	defer cancel()
	reason := cleanReason(r.PostForm.Get("reason"))
	said, err := c.carryOut(ctx, d, shown.facts, s.person.By(), reason)
	log := c.log.Info()
	if err != nil {
		log = c.log.Warn().Err(err)
	}
	log.Str("by", s.person.By()).Str("from", c.sender(r)).Str("about", messages.Shorten(d.subject(), subjectMost)).
		Str("reason", messages.Shorten(reason, people.MaxReason)).Msg("decision: " + messages.Shorten(d.title(), subjectMost))
	told := d.told()
	told.By, told.From, told.Reason = s.person.By(), c.sender(r), reason
	c.tellDecision(ctx, &told, err)
	switch {
	case errors.Is(err, people.ErrDecided):
		said += " But " + err.Error()
	case err != nil:
		c.showAction(w, r, s, d, reason, shown.facts, err)
		return
	}
	s.leave(outcome{Good: true, Text: said})
	http.Redirect(w, r, d.page(), http.StatusSeeOther)
}

// subjectMost bounds what the log says of a decision, in bytes.
const subjectMost = 400

// carryOut does what was decided by facts that were shown, and says what it did.
func (c *Console) carryOut(ctx context.Context, d decision, shown []fact, by, reason string) (string, error) {
	defer c.lately.begin(d.subject())()
	err := d.read(ctx, c)
	switch {
	case err != nil:
	case d.needsReason() && reason == "":
		err = errors.New("the reason is missing: say why, for those who look at this later")
	default:
		err = people.CheckReason(reason)
	}
	if err == nil && !same(shown, d.facts()) {
		err = people.ErrChanged
	}
	if err != nil {
		return "", err
	}
	said, err := d.carryOut(messages.Saying(ctx, reason), c, by, reason)
	if unsure(err) {
		err = fmt.Errorf("%w: %w", errUnsure, err)
	}
	if err == nil || errors.Is(err, people.ErrDecided) {
		c.lately.note(d.subject(), by, d.title())
		c.seen.side.asked.set()
	}
	return said, err
}

// unsure tells whether what was to be decided may stand all the same.
func unsure(err error) bool {
	unanswered := errors.Is(err, queue.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return unanswered && !errors.Is(err, people.ErrDecided)
}

// statusOf is the answer to a decision that was not carried out.
func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errFormTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errFormUnreadable):
		return http.StatusBadRequest
	case errors.Is(err, errFormNotShown), errors.Is(err, people.ErrChanged), errors.Is(err, people.ErrTooLate), errors.Is(err, people.ErrNothingToDo), errors.Is(err, people.ErrNotPresent), errors.Is(err, people.ErrUp):
		return http.StatusConflict
	case errors.Is(err, queue.ErrNotFound), errors.Is(err, people.ErrUnknownFleet), errors.Is(err, people.ErrUnknownRollout), errors.Is(err, people.ErrUnknownNode):
		return http.StatusNotFound
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, queue.ErrForbidden), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}
