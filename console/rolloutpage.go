package console

import (
	"context"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// listShown bounds the nodes that a rollout's page lists by a name.
const listShown = 100

// rolloutView is a rollout as its page shows it.
type rolloutView struct {
	movingView
	Steps     []stepView
	Curve     *curveView // nil where nothing is known
	Waves     []waveView
	Decisions []overview.DecisionOf
	Behind    []reasonOf // the nodes that failed, and why
	Tried     []trialOf
	Problem   string // why what is beside the record can't be read
}

type reasonOf struct{ Node, Why string }

type trialOf struct {
	Node string
	messages.TrialResult
}

// stepView is a step, and how long after the one before it it was taken.
type stepView struct {
	overview.Step
	After string
}

// Sign tells states of a step apart without colour.
func (s *stepView) Sign() string {
	return map[overview.StepState]string{
		overview.StepTaken: "✓", overview.StepUnknown: "?", overview.StepNow: "▶", overview.StepAhead: "·", overview.StepNever: "✕",
	}[s.State]
}

type rolloutPageView struct {
	view
	ID, Fleet    string
	Parts        []template.HTML
	Lines        []template.HTML // of members
	Total        int             // members
	First, Last  int
	Counted      int // members that the record names no more
	Before, Next string
}

func (c *Console) rolloutPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.settled(r)
	id := r.PathValue("rollout")
	rollout, known := c.rollout(id)
	if !known {
		c.fail(w, r, s, http.StatusNotFound, fmt.Sprintf("There is no rollout %q: those that are over are forgotten after some time.", messages.Shorten(id, filterMost)))
		return
	}
	page := pageOf(r)
	v := rolloutPageView{view: c.view(r, s, "Rollout "+id), ID: id, Fleet: rollout.Fleet, Counted: rollout.Counts()}
	for _, p := range c.rolloutParts(r.Context(), id, s.mayDecide()) {
		v.Parts = append(v.Parts, p.html)
	}
	c.seen.look(func() {
		members := membersOf(&rollout, c.seen.fleets[rollout.Fleet], page)
		for _, p := range members.parts(&rollout, c.seen.fleets[rollout.Fleet]) {
			v.Lines = append(v.Lines, p.html)
		}
		v.Total, v.First = members.total, (page-1)*membersShown+1
		v.Last = v.First + len(members.members) - 1
	})
	v.Events = fmt.Sprintf("/rollouts/%s/events?page=%d", id, page)
	v.Before, v.Next = beside("/rollouts/"+id, page, v.Last < v.Total)
	c.write(w, http.StatusOK, "rollout.html", &v)
}

func (c *Console) rolloutEvents(w http.ResponseWriter, r *http.Request, s *session) {
	c.settled(r)
	id, page := r.PathValue("rollout"), pageOf(r)
	var members memberPage
	rollout, known := c.rollout(id)
	c.seen.look(func() {
		if known {
			members = membersOf(&rollout, c.seen.fleets[rollout.Fleet], page)
		}
	})
	c.stream(w, r, s, partsOnly(func() []part {
		parts := c.rolloutParts(r.Context(), id, s.mayDecide())
		more := false
		c.seen.look(func() {
			r, known := c.seen.rollouts[id]
			if known && len(r.Members) > 0 { // a record that is over names none: what they were last stays
				parts = append(parts, members.parts(&r, c.seen.fleets[r.Fleet])...)
				more = len(r.Members) != members.total
			}
		})
		return append(parts, part{"known", c.render("known", more)})
	}))
}

// rollout is a rollout as it is seen.
func (c *Console) rollout(id string) (r messages.RolloutRecord, known bool) {
	c.seen.look(func() { r, known = c.seen.rollouts[id] })
	return r, known
}

// canPromote tells whether a rollout's image is one that a person may want to make current: it has got so far that nodes have it,
// and is not current.
func canPromote(r *messages.RolloutRecord, f *messages.FleetRecord) bool {
	if f == nil || f.Current.Image == r.Ready.Image {
		return false
	}
	return r.State.Final() || r.State == messages.RolloutHeld
}

// rolloutParts are the parts of a rollout's page, or none where there is no such rollout any more.
func (c *Console) rolloutParts(ctx context.Context, id string, decides bool) (out []part) {
	r, known := c.rollout(id)
	if !known {
		return nil
	}
	var revision uint64
	c.seen.look(func() {
		if f := c.seen.fleets[r.Fleet]; f != nil {
			revision = f.revision
		}
	})
	course, problem, version := c.course(ctx, &r, revision)
	c.seen.look(func() {
		r, known = c.seen.rollouts[id]
		if !known {
			return
		}
		f, clock := c.seen.fleets[r.Fleet], c.seen.clock
		if f != nil {
			clock = f.clock
		}
		v := sync.OnceValue(func() *rolloutView { return viewOfRollout(&r, f, course, problem, decides) })
		for _, name := range []string{"rollout", "steps", "curve", "waves", "rest"} {
			html := c.parts.get(partKey{"rollout-" + name, id, decides}, clock<<20+version, func() template.HTML { return c.render("rollout-"+name, v()) })
			out = append(out, part{name, html})
		}
	})
	return out
}

// viewOfRollout is a rollout with what is known beside its record. It is called while nothing can change.
func viewOfRollout(r *messages.RolloutRecord, f *fleet, course *overview.Course, problem string, decides bool) *rolloutView {
	v := &rolloutView{movingView: movingView{RolloutRecord: *r}, Problem: problem, Tried: trialsOf(r), Waves: waveViews(r, f)}
	var record *messages.FleetRecord
	if f != nil {
		record = f.record
	}
	v.Decisions = overview.DecisionsOf(r, record, map[string][]overview.Told{r.ID: course.Told})
	if !r.State.Final() {
		v.Remedies = remedies(r, record, decides)
	}
	if decides && canPromote(r, record) {
		v.Remedies = append(v.Remedies, need{"Promote its image", "/fleets/" + r.Fleet + "/promote?to=" + r.Ready.Image.Digest()})
	}
	var last time.Time
	for _, s := range overview.StepsOf(r, course) {
		step := stepView{Step: s}
		if s.Known() {
			if !last.IsZero() && s.At.After(last) {
				step.After = roughly(s.At.Sub(last))
			}
			last = s.At
		}
		v.Steps = append(v.Steps, step)
	}
	if points, told := course.CurveOf(r); len(points) > 0 {
		v.Curve = &curveView{Points: points, Members: r.Counts(), Needed: decide.Quorum(&r.Policy, r.Counts()), Flipped: r.FlippedAt, Told: told, Running: !r.State.Final()}
	}
	for _, node := range slices.Sorted(maps.Keys(r.Failed)) {
		if len(v.Behind) < listShown {
			v.Behind = append(v.Behind, reasonOf{node, r.Failed[node]})
		}
	}
	return v
}
