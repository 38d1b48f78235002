package console

import (
	"context"
	"html/template"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// buildStates are the states of builds, each with its sign: nothing is told by colour alone.
var buildStates = []struct{ State, Sign string }{
	{string(messages.BuildStateSucceeded), "✓"}, {string(messages.BuildStateFailed), "✕"}, {string(messages.BuildStateSuperseded), "»"},
	{string(messages.BuildStateCancelled), "⊘"}, {string(messages.BuildStateUnchanged), "="},
	{string(messages.BuildStateRunning), "▶"}, {overview.StateQueued, "…"}, {overview.StateWaits, "◷"}, {overview.StateSilent, "?"}, {overview.StateBroken, "!"},
}

// endedStates is how many of buildStates are of builds that have ended: the first ones.
const endedStates = 5

// buildSign is the sign of a build's state.
func buildSign(state string) string {
	for _, s := range buildStates {
		if s.State == state {
			return s.Sign
		}
	}
	return "·"
}

// reasonLink is where the link of a reason leads: to the page of a build, or to another web page; "" for nowhere.
func reasonLink(r messages.Reason) string {
	if (r.Kind == messages.ReasonCascade || r.Kind == messages.ReasonRetry) && messages.CheckID("build", r.Link) == nil {
		return "/builds/" + r.Link
	}
	if u, err := url.Parse(r.Link); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil {
		return u.String()
	}
	return ""
}

// readBuildFilter takes a filter from a page's address. What can't be meant is left out.
func readBuildFilter(v url.Values) buildFilter {
	word := func(name string) string { return messages.Shorten(v.Get(name), filterMost) }
	f := buildFilter{Pipeline: word("pipeline"), State: word("state"), Text: word("text"), Page: 1}
	if n, err := strconv.Atoi(v.Get("page")); err == nil {
		f.Page = min(max(n, 1), 1_000_000)
	}
	if !slices.ContainsFunc(buildStates[:endedStates], func(s struct{ State, Sign string }) bool { return s.State == f.State }) {
		f.State = ""
	}
	return f
}

// query is the filter as a page's address has it, with another page.
func (f *buildFilter) query(page int) string {
	v := url.Values{}
	for name, value := range map[string]string{"pipeline": f.Pipeline, "state": f.State, "text": f.Text} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	return v.Encode()
}

// openBuild is a build that has not ended.
type openBuild struct {
	overview.Build
	Step string // that it is at
}

// openBuilds are the builds that have not ended.
type openBuilds struct {
	Running []openBuild
	Queues  []buildQueue
	Queued  int
	Broken  []overview.Build
	Problem string
	Decides bool
}

// queueShown is how many queued builds of a pipeline a page lists: those that come first.
const queueShown = 50

// buildQueue is what of a pipeline is queued.
type buildQueue struct {
	Pipeline string
	Builds   []overview.Build
	More     int // beside those
}

type buildsPageView struct {
	view
	Filter    buildFilter
	Pipelines []string
	States    []string
	Open      template.HTML
	Ended     template.HTML
	Durations template.HTML
}

func (c *Console) buildsPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.settled(r)
	c.awaitEnded(r)
	f := readBuildFilter(r.URL.Query())
	v := buildsPageView{view: c.view(r, s, "Builds"), Filter: f, Pipelines: c.pipelines()}
	for _, state := range buildStates[:endedStates] {
		v.States = append(v.States, state.State)
	}
	v.Events = "/builds/events?" + f.query(f.Page)
	v.Open, v.Ended, v.Durations = c.openPart(s.mayDecide()), c.endedPart(&f), c.durationsPart(f.Pipeline)
	c.write(w, http.StatusOK, "builds.html", v)
}

// awaitEnded waits a moment until the builds that have ended were read once.
func (c *Console) awaitEnded(r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	select {
	case <-c.seen.ended.ready:
	case <-ctx.Done():
	}
}

func (c *Console) buildsEvents(w http.ResponseWriter, r *http.Request, s *session) {
	f := readBuildFilter(r.URL.Query())
	made := uint64(math.MaxUint64) // the change that the ended ones were sent of last
	c.stream(w, r, s, partsOnly(func() []part {
		out := []part{{"open", c.openPart(s.mayDecide())}}
		if now := c.seen.ended.now(); now != made {
			made = now
			out = append(out, part{"ended", c.endedPart(&f)}, part{"durations", c.durationsPart(f.Pipeline)})
		}
		return out
	}))
}

// pipelines are those that have builds.
func (c *Console) pipelines() []string {
	names := map[string]bool{}
	for _, name := range c.seen.ended.pipelines() {
		names[name] = true
	}
	for _, b := range c.seen.side.is().open {
		names[b.Pipeline] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// openPart is what a page shows of the builds that have not ended.
func (c *Console) openPart(decides bool) template.HTML {
	clock := uint64(0)
	c.seen.look(func() { clock = c.seen.clock })
	return c.parts.get(partKey{"open", "", decides}, clock, func() template.HTML { return c.render("open", c.openBuilds(decides)) })
}

func (c *Console) openBuilds(decides bool) openBuilds {
	state := c.seen.side.is()
	v := openBuilds{Problem: state.problem, Decides: decides}
	queues := map[string]*buildQueue{}
	for _, b := range slices.Backward(state.open) { // the oldest first
		switch {
		case b.Broken != "":
			v.Broken = append(v.Broken, b)
		case b.State == overview.StateQueued:
			v.Queued++
			if queues[b.Pipeline] == nil {
				queues[b.Pipeline] = &buildQueue{Pipeline: b.Pipeline}
			}
			queues[b.Pipeline].Builds = append(queues[b.Pipeline].Builds, b)
		default:
			v.Running = append(v.Running, openBuild{b, c.seen.steps.of(b.Build)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		q := queues[name]
		slices.SortStableFunc(q.Builds, func(a, b overview.Build) int { return a.Place - b.Place })
		if over := len(q.Builds) - queueShown; over > 0 {
			q.Builds, q.More = q.Builds[:queueShown], over
		}
		v.Queues = append(v.Queues, *q)
	}
	return v
}

// endedPart is what a page shows of the builds that have ended.
func (c *Console) endedPart(f *buildFilter) template.HTML {
	return c.endings.get(partKey{"ended", f.query(f.Page), false}, c.seen.ended.now(), func() template.HTML {
		p := c.seen.ended.page(f)
		if f.Page > 1 {
			p.Before = "/builds?" + f.query(f.Page-1)
		}
		if p.Last < p.Total {
			p.Next = "/builds?" + f.query(f.Page+1)
		}
		return c.render("ended", p)
	})
}
