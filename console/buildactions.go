package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// Decisions about builds: the same way as about fleets.

const (
	actCancel = "cancel"
	actRetry  = "retry"
)

// buildPreview is what a decision about a build will do.
type buildPreview struct {
	view
	Build   string
	Verb    string
	Will    []string
	Basis   string
	Form    string
	Reason  string
	Most    int // the longest reason, in bytes
	Problem string
	Ready   bool // it can be decided
}

// buildBasis tells states of a build apart, by what a person decides on.
func buildBasis(b *overview.Build) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []any{b.Build, b.State, b.Attempt, b.Waiting}))
	return hex.EncodeToString(sum[:8])
}

func (c *Console) buildAction(w http.ResponseWriter, r *http.Request, s *session) {
	if action := r.PathValue("action"); action == actCancel || action == actRetry {
		c.showBuildAction(w, r, s, action, "", nil)
		return
	}
	c.fail(w, r, s, http.StatusNotFound, "There is no such decision about a build.")
}

// readBuild reads a build as it is now.
func (c *Console) readBuild(ctx context.Context, id string) (*overview.Build, error) {
	if err := messages.CheckID("build", id); err != nil {
		return nil, err
	}
	b, _, err := overview.FindBuild(ctx, c.queue, id)
	if err == nil && b == nil {
		err = fmt.Errorf("build %s: %w", id, queue.ErrNotFound)
	}
	return b, err
}

// showBuildAction shows what a decision will do, and why the last try was not carried out.
func (c *Console) showBuildAction(w http.ResponseWriter, r *http.Request, s *session, action, reason string, failed error) {
	c.settled(r)
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	b, err := c.readBuild(ctx, r.PathValue("build"))
	if err != nil {
		says := "The build can't be read, so that nothing can be decided: " + err.Error()
		if errors.Is(err, queue.ErrNotFound) {
			says = "There is no such build: records of builds that have ended are dropped after some time."
		}
		c.fail(w, r, s, max(statusOf(err), http.StatusBadRequest), terminal.Visible(says))
		return
	}
	verb := strings.ToUpper(action[:1]) + action[1:] + " build " + b.Build
	p := &buildPreview{view: c.view(r, s, verb), Build: b.Build, Verb: verb, Basis: buildBasis(b), Form: s.newForm(), Reason: reason, Most: people.MaxReason}
	p.foresee(ctx, c, action, b)
	if failed != nil {
		p.Problem = buildProblem(b, failed)
	}
	c.write(w, statusOf(failed), "buildaction.html", p)
}

// buildProblem says what became of a decision that was not carried out.
func buildProblem(b *overview.Build, failed error) string {
	switch {
	case errors.Is(failed, people.ErrChanged):
		return fmt.Sprintf("Nothing was done: it was changed while you looked. The build is %s, attempt %d. Look at what would be so now, and decide again.", b.Shown(), b.Attempt)
	case errors.Is(failed, errUnsure):
		return "Look at what is so before you decide again: " + failed.Error()
	case errors.Is(failed, queue.ErrForbidden):
		return "Nothing was done: the NATS user of this console may not do that, as it was made by an older version. Run 'fenceline init --dir DIR' again in the folder that it was made in, and reload the NATS server: passwords stay. " + failed.Error()
	}
	return "Nothing was done: " + failed.Error()
}

// foresee says what a decision will do.
func (p *buildPreview) foresee(ctx context.Context, c *Console, action string, b *overview.Build) {
	over := ended(b)
	if action == actCancel {
		switch {
		case over:
			p.Will = []string{"It is over already: " + b.Shown() + "."}
			return
		case b.State == overview.StateQueued:
			p.Will = []string{"The build ends before it has begun: no builder takes it."}
		default:
			p.Will = []string{fmt.Sprintf("Its builder, %s, stops in attempt %d. What it has done so far makes no image.", b.Worker, b.Attempt)}
		}
		p.Ready, p.Will = true, append(p.Will, "No fleet is changed. Later pushes are built as ever; the same can be asked for again by a retry.")
		return
	}
	if !over {
		p.Will = []string{"It has not ended: cancel it first."}
		return
	}
	if err := builds.New(c.queue).Retryable(ctx, b.Build); err != nil {
		p.Will = []string{"It can't be asked for again: " + err.Error() + "."}
		return
	}
	what := "The same folder"
	if b.Commit != "" {
		what = "The same commit, " + b.Commit + ","
	}
	p.Ready, p.Will = true, []string{fmt.Sprintf("%s is built again, under a new ID and with the order of the first, %d: its image does not overtake one that came later.", what, b.Order)}
	if later := c.seen.ended.laterImage(b); later != "" {
		p.Will = append(p.Will, fmt.Sprintf("Pipeline %s has a later image, of build %s: what this one makes is not flipped to by itself.", b.Pipeline, later))
	}
	p.Will = append(p.Will, "Where its request is a dead letter, that is dropped.")
}

func (c *Console) decideBuild(w http.ResponseWriter, r *http.Request, s *session) {
	action := r.PathValue("action")
	if action != actCancel && action != actRetry {
		c.fail(w, r, s, http.StatusNotFound, "There is no such decision about a build.")
		return
	}
	if !c.takeDecision(w, r, s) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), decideTime)
	defer cancel()
	reason, id := cleanReason(r.PostForm.Get("reason")), r.PathValue("build")
	b, err := c.readBuild(ctx, id)
	if err == nil {
		err = checkReason(reason)
	}
	if err == nil && buildBasis(b) != r.PostForm.Get("basis") {
		err = people.ErrChanged
	}
	said, next := "", "/builds/"+id
	if err == nil {
		if said, next, err = c.carryOutBuild(builds.Saying(ctx, reason), action, id, s.person.Name); unsure(err) {
			err = fmt.Errorf("%w: %w", errUnsure, err)
		}
	}
	log := c.log.Info()
	if err != nil {
		log = c.log.Warn().Err(err)
	}
	log.Str("by", s.person.Name).Str("from", c.sender(r)).Str("build", messages.Shorten(id, filterMost)).Str("reason", messages.Shorten(reason, people.MaxReason)).Msg("decision: " + action)
	if err != nil {
		c.showBuildAction(w, r, s, action, reason, err)
		return
	}
	s.leave(outcome{Good: true, Text: said})
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // a path of this console, of a build that it knows
}

// carryOutBuild does what was decided, by the code of the command line, and says what it did, and which page shows that.
func (c *Console) carryOutBuild(ctx context.Context, action, id, by string) (said, next string, err error) {
	line := builds.New(c.queue)
	if action == actCancel {
		return "Build " + id + " is cancelled.", "/builds/" + id, line.Cancel(ctx, id, by)
	}
	a, err := line.Retry(ctx, id, by)
	if err != nil {
		return "", "", err
	}
	said = fmt.Sprintf("Build %s is asked for again, as %s.", id, a.Build)
	if err := line.DropLetterOf(ctx, id); err != nil { // the build is asked for: to ask for it again would make another one
		said += " But its dead letter stays: " + err.Error()
	}
	return said, "/builds/" + a.Build, nil
}
