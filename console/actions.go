package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// Decisions. A page shows what a decision will do, and takes a reason. It is carried out by the code that the command line
// calls, where the records are still as the page showed them; else the page shows what has changed, and asks anew.

// decideTime bounds a decision: a promotion waits for three heartbeats of the nodes.
const decideTime = 90 * time.Second

// errUnsure tells that a decision may have been carried out, or not: NATS did not answer in time.
var errUnsure = errors.New("it is not known whether it was done")

// The decisions.
const (
	actHold     = "hold"
	actRelease  = "release"
	actRollback = "rollback"
	actPromote  = "promote"
	actApprove  = "approve"
	actAbort    = "abort"
)

// subject is what a decision is about, as its records are.
type subject struct {
	fleet   messages.FleetRecord
	rollout messages.RolloutRecord // of the decisions about one
}

// basis tells states of a subject apart, by what a person decides on: what is current, who holds it, how far the rollout is.
func (s *subject) basis() string {
	facts := factsOf(&s.fleet)
	if r := &s.rollout; r.ID != "" {
		facts += fmt.Sprintf("%q", []any{r.ID, r.State.Final(), r.State == messages.RolloutFlipped, r.State == messages.RolloutSoaking, r.Approved, r.Aborted})
	}
	sum := sha256.Sum256([]byte(facts))
	return hex.EncodeToString(sum[:8])
}

// factsOf are those of a fleet.
func factsOf(f *messages.FleetRecord) string {
	facts := []any{f.ID, f.Epoch, f.Current.Image, f.Previous.Image}
	if f.Hold != nil {
		facts = append(facts, f.Hold.By, f.Hold.At.UTC(), f.Hold.Reason)
	}
	return fmt.Sprintf("%q", facts)
}

// read reads a fleet's record, and a rollout's where one is named, as they are now.
func (c *Console) read(ctx context.Context, fleet, rollout string) (subject, error) {
	var s subject
	if rollout != "" {
		if err := messages.CheckID("rollout", rollout); err != nil {
			return s, err
		}
		e, err := store.Rollouts(c.queue).Current(ctx, rollout)
		if err != nil {
			return s, fmt.Errorf("reading rollout %s: %w", rollout, err)
		}
		s.rollout, fleet = e.Value, e.Value.Fleet
	}
	if err := messages.CheckName("fleet", fleet); err != nil {
		return s, err
	}
	e, err := store.Fleets(c.queue).Current(ctx, fleet)
	if err != nil {
		return s, fmt.Errorf("reading fleet %s: %w", fleet, err)
	}
	s.fleet = e.Value
	return s, nil
}

// carryOut does what was decided, and says what it did.
func (c *Console) carryOut(ctx context.Context, action string, s *subject, to, by string, reason string) (string, error) {
	fleet, facts := s.fleet.Fleet, factsOf(&s.fleet)
	ctx = people.Saying(ctx, reason)
	if s.rollout.ID == "" {
		ctx = people.OnlyAs(ctx, func(f *messages.FleetRecord) bool { return factsOf(f) == facts })
	}
	var f messages.FleetRecord
	var err error
	switch action {
	case actHold:
		_, err = people.Hold(ctx, c.queue, fleet, reason, by)
		return "Fleet " + fleet + " is held: later images are preloaded, not flipped.", err
	case actRelease:
		_, err = people.Release(ctx, c.queue, fleet, by)
		return "Fleet " + fleet + " is released: the newest image that waits follows.", err
	case actRollback:
		f, err = people.Rollback(ctx, c.queue, fleet, to, by)
		return fmt.Sprintf("Fleet %s is rolled back: %s is current (epoch %d), and the fleet is held until it is released.", fleet, f.Current.Image, f.Epoch), err
	case actPromote:
		f, err = people.Promote(ctx, c.queue, fleet, to, by)
		return fmt.Sprintf("%s is current in fleet %s (epoch %d).", f.Current.Image, fleet, f.Epoch), err
	case actApprove:
		_, err = people.Approve(ctx, c.queue, s.rollout.ID, by)
		return "Rollout " + s.rollout.ID + " is approved.", err
	default:
		_, err = people.Abort(ctx, c.queue, s.rollout.ID, by)
		return "Rollout " + s.rollout.ID + " is aborted.", err
	}
}

func (c *Console) decideFleet(w http.ResponseWriter, r *http.Request, s *session) {
	if action := r.PathValue("action"); slices.Contains([]string{actHold, actRelease, actRollback, actPromote}, action) {
		c.decide(w, r, s, action, r.PathValue("fleet"), "")
		return
	}
	c.fail(w, r, s, http.StatusNotFound, "There is no such decision about a fleet.")
}

func (c *Console) decideRollout(w http.ResponseWriter, r *http.Request, s *session) {
	if action := r.PathValue("action"); action == actApprove || action == actAbort {
		c.decide(w, r, s, action, "", r.PathValue("rollout"))
		return
	}
	c.fail(w, r, s, http.StatusNotFound, "There is no such decision about a rollout.")
}

// takeDecision reads the form of a decision, which can be sent once. It answers where it can't be taken.
func (c *Console) takeDecision(w http.ResponseWriter, r *http.Request, s *session) bool {
	if err := r.ParseForm(); err != nil {
		status, says := http.StatusBadRequest, "The form can't be read: nothing was done. Open the page again."
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status, says = http.StatusRequestEntityTooLarge, fmt.Sprintf("The form has more than %d bytes: nothing was done. Give the reason in %d or fewer.", maxForm, people.MaxReason)
		}
		c.fail(w, r, s, status, says)
		return false
	}
	if !s.takeForm(r.PostForm.Get("form")) {
		c.fail(w, r, s, http.StatusConflict, "This form was sent already, or was not shown to you: nothing was done by it now. Open the page again, and see what is so.")
		return false
	}
	return true
}

// checkReason refuses a reason that can't be taken, or that is missing.
func checkReason(reason string) error {
	if err := people.CheckReason(reason); err != nil {
		return err
	}
	if reason == "" {
		return errors.New("the reason is missing: say why, for those who look at this later")
	}
	return nil
}

// decide takes the form of a decision.
func (c *Console) decide(w http.ResponseWriter, r *http.Request, s *session, action, fleet, rollout string) {
	if !c.takeDecision(w, r, s) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), decideTime)
	defer cancel()
	reason, to := cleanReason(r.PostForm.Get("reason")), r.PostForm.Get("to")
	about, err := c.read(ctx, fleet, rollout)
	if err == nil {
		err = checkReason(reason)
	}
	if err == nil && about.basis() != r.PostForm.Get("basis") {
		err = people.ErrChanged
	}
	said := ""
	if err == nil {
		said, err = c.carryOut(ctx, action, &about, to, s.person.Name, reason)
		if unsure(err) {
			err = fmt.Errorf("%w: %w", errUnsure, err)
		}
	}
	log := c.log.Info()
	if err != nil {
		log = c.log.Warn().Err(err)
	}
	log.Str("by", s.person.Name).Str("from", c.sender(r)).Str("fleet", about.fleet.Fleet).Str("rollout", about.rollout.ID).Str("to", messages.Shorten(to, filterMost)).
		Str("reason", messages.Shorten(reason, people.MaxReason)).Msg("decision: " + action)
	switch {
	case errors.Is(err, people.ErrDecided):
		said += " But " + err.Error()
	case err != nil:
		c.showAction(w, r, s, action, fleet, rollout, to, reason, err)
		return
	}
	s.leave(outcome{Good: true, Text: said})
	next := "/fleets/" + about.fleet.Fleet
	if rollout != "" {
		next = "/rollouts/" + rollout
	}
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // a path of this console, of a fleet or rollout that it knows
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
	case errors.Is(err, people.ErrChanged), errors.Is(err, people.ErrTooLate), errors.Is(err, people.ErrNothingToDo), errors.Is(err, people.ErrNotPresent):
		return http.StatusConflict
	case errors.Is(err, queue.ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, queue.ErrNotFound), errors.Is(err, people.ErrUnknownFleet), errors.Is(err, people.ErrUnknownRollout):
		return http.StatusNotFound
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}
