package console

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

// aboutBuild is what is known of a build beside its log.
type aboutBuild struct {
	build  *overview.Build // nil where there is none
	known  []string        // where there is none: the names of the newest
	ready  *messages.ImageReady
	commit string // where its forge shows its commit, or ""
}

// readAbout reads what is known of a build.
func readAbout(ctx context.Context, q *queue.Client, build string) (aboutBuild, error) {
	var a aboutBuild
	var err error
	if a.build, a.known, err = overview.FindBuild(ctx, q, build); err != nil || a.build == nil {
		return a, err
	}
	if asked, err := builds.New(q).RequestOf(ctx, build); err == nil { // else it is not kept
		a.commit = overview.CommitLink(asked)
	}
	if e, err := store.Builds(q).Current(ctx, build); err == nil && e.Value.Outcome != nil {
		if _, ready, err := messages.DecodeAs[*messages.ImageReady](*e.Value.Outcome); err == nil {
			a.ready = ready
		}
	}
	return a, nil
}

// buildView is a build as its page shows it.
type buildView struct {
	*overview.Build
	Sign       string
	Step       string // that it is at
	CommitLink string
	Ready      *messages.ImageReady // what it has made, nil for nothing
	Attempts   []startedAttempt
	Rollouts   []messages.RolloutRecord
	Explained  bool     // its findings say why it failed
	Remedy     []string // what to do about its failure
	Open       bool     // it has not ended
	Decides    bool
}

type buildPageView struct {
	view
	Build string
	Head  template.HTML
	Says  template.HTML
	Steps []template.HTML
}

// buildStream is an open page of a build.
type buildStream struct {
	console *Console
	follow  *follow
	decides bool
}

func (b *buildStream) parts() []part {
	out := []part{{"build", b.console.buildHead(b.follow, b.decides)}}
	return append(out, b.follow.parts(b.console.render)...)
}

func (*buildStream) cells(uint64, int, *bytes.Buffer) (now uint64, next int) { return 0, 0 }

func (b *buildStream) wakes() (changed <-chan struct{}, done func()) {
	return b.follow.open.subscribe()
}

// followed is a build that a page shows. It answers where there is none.
func (c *Console) followed(w http.ResponseWriter, r *http.Request, s *session) (f *follow, done func(), ok bool) {
	id := r.PathValue("build")
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	if messages.CheckID("build", id) != nil {
		c.fail(w, r, s, http.StatusNotFound, fmt.Sprintf("%q is no name of a build.", messages.Shorten(id, filterMost)))
		return nil, nil, false
	}
	b, _, err := overview.FindBuild(ctx, c.queue, id)
	if err == nil && b == nil {
		c.fail(w, r, s, http.StatusNotFound, fmt.Sprintf("There is no build %q: records of builds that have ended are dropped after some time.", id))
		return nil, nil, false
	}
	if err == nil {
		f, done, err = c.seen.logs.get(id, b.Pipeline, s.person.By())
	}
	if err != nil {
		w.Header().Set("Retry-After", "30")
		c.fail(w, r, s, http.StatusServiceUnavailable, fmt.Sprintf("Build %s can't be shown now: %v. By command: fenceline builds show %s, fenceline logs %s", id, err, id, id))
		return nil, nil, false
	}
	if ended(b) {
		f.end()
	}
	select {
	case <-f.ready:
	case <-ctx.Done():
	}
	return f, done, true
}

// ended tells whether a build has ended.
func ended(b *overview.Build) bool {
	return b.Broken == "" && b.State != overview.StateQueued && b.State != string(messages.BuildStateRunning)
}

func (c *Console) buildPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.settled(r)
	f, done, ok := c.followed(w, r, s)
	if !ok {
		return
	}
	defer done()
	v := buildPageView{view: c.view(r, s, "Build "+f.build), Build: f.build, Head: c.buildHead(f, s.mayDecide())}
	v.Events = "/builds/" + f.build + "/events"
	for _, p := range f.parts(c.render) {
		if p.id == "logsays" {
			v.Says = p.html
		} else {
			v.Steps = append(v.Steps, p.html)
		}
	}
	c.write(w, http.StatusOK, "build.html", v)
}

func (c *Console) buildEvents(w http.ResponseWriter, r *http.Request, s *session) {
	f, done, ok := c.followed(w, r, s)
	if !ok {
		return
	}
	defer done()
	c.stream(w, r, s, &buildStream{c, f, s.mayDecide()})
}

// buildHead is what a page shows of a build above its log.
func (c *Console) buildHead(f *follow, decides bool) (head template.HTML) {
	about, began, version := f.known()
	if about.build == nil {
		return c.render("nobuild", f.build)
	}
	c.seen.look(func() {
		open := c.seen.side.is().open // not before: what is made is kept as of what is seen by now
		head = f.heads.get(decides, c.seen.clock<<20+version, func() template.HTML {
			b := about.build
			// What is in the queue, and who is silent, is known better there.
			if i := slices.IndexFunc(open, func(o overview.Build) bool { return o.Build == b.Build && o.State == b.State && o.Attempt == b.Attempt }); i >= 0 {
				b = &open[i]
			}
			v := buildView{
				Build: b, Sign: buildSign(b.Shown()), CommitLink: about.commit, Ready: about.ready, Attempts: began, Decides: decides, Open: !ended(b) && b.Broken == "",
			}
			if v.Open {
				v.Step = c.seen.steps.of(b.Build)
			}
			if b.Failure != nil {
				v.Explained, v.Remedy = overview.Explained(b.Failure), overview.Remedy(b.Failure, b.Build)
			}
			for _, ro := range c.seen.rollouts {
				if ro.Ready.Build == b.Build {
					v.Rollouts = append(v.Rollouts, ro)
				}
			}
			overview.SortRollouts(v.Rollouts)
			return c.render("buildhead", &v)
		})
	})
	return head
}

// stepSigns are the signs of how far steps are.
var stepSigns = map[overview.LogStepState]string{
	overview.LogStepRunning: "▶", overview.LogStepDone: "✓", overview.LogStepCached: "=", overview.LogStepFailed: "✕", overview.LogStepStopped: "⊘", overview.LogStepNote: "·",
}

func stepSign(s overview.LogStepState) string { return stepSigns[s] }
