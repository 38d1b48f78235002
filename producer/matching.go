package producer

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// takesRef tells whether the pipeline builds pushes of a branch or tag, by its full name, and what in the pipeline
// says so.
func (d *declared) takesRef(ref string) (by string, ok bool) {
	branch, isBranch := strings.CutPrefix(ref, branchRefs)
	tag, isTag := strings.CutPrefix(ref, tagRefs)
	switch {
	case isTag:
		by, ok = d.tags.Match(tag)
		by = "tag " + by
	case isBranch && d.pipeline.MoreThanOneRef():
		by, ok = d.branches.Match(branch)
		by = "branch " + by
	case isBranch:
		by, ok = "branch "+d.pipeline.Branch, branch == d.pipeline.Branch
	}
	return by, ok
}

// verdict is what a pipeline makes of a push of its repository.
type verdict struct {
	pipeline *declared
	taken    bool   // it builds pushes of the branch or tag
	build    bool   // and this one
	why      string // what in the pipeline takes the push, or why it is not built
}

// asker finds what a push changed by asking a pipeline's repository.
type asker func(d *declared, before, commit string) (git.Change, error)

// once is an asker that asks each repository once for the same.
func (ask asker) once() asker {
	type question struct{ repository, token, before, commit string }
	type found struct {
		change git.Change
		err    error
	}
	known := map[question]found{}
	return func(d *declared, before, commit string) (git.Change, error) {
		q := question{d.pipeline.Repository, d.pipeline.TokenName, before, commit}
		a, ok := known[q]
		if !ok {
			a.change, a.err = ask(d, before, commit)
			known[q] = a
		}
		return a.change, a.err
	}
}

// judge says what the pipeline makes of a push of its repository. What can't be known is no reason not to build.
func (d *declared) judge(e *event, ask asker) verdict {
	by, ok := d.takesRef(e.ref)
	if !ok {
		return verdict{pipeline: d, why: "it builds " + clip(d.pipeline.Refs())}
	}
	v := verdict{pipeline: d, taken: true, build: true, why: clip(by)}
	for _, filter := range []func(*event, asker) (bool, string){d.skips, d.passesOver} {
		out, why := filter(e, ask)
		if out {
			return verdict{pipeline: d, taken: true, why: why}
		}
		if why != "" {
			v.why += "; " + why
		}
	}
	return v
}

// verdicts are those of the pipelines of the event's repository. The event gets the reason where some of them don't
// build it, as far as they are about its branch or tag; or where none is.
func (e *event) verdicts(pipelines []*declared, ask asker) []verdict {
	if e.ignored = e.unfit(); e.ignored != "" {
		return nil
	}
	var all []verdict
	var reasons []string
	taken := false
	for _, d := range e.of(pipelines) {
		v := d.judge(e, ask)
		if all = append(all, v); v.taken && !v.build {
			reasons = append(reasons, fmt.Sprintf("pipeline %s: %s", d.pipeline.Name, v.why))
		}
		taken = taken || v.taken
	}
	switch {
	case len(all) == 0: // of no pipeline's repository
	case !taken:
		e.ignored = noRef(e, all)
	default:
		e.ignored = strings.Join(reasons, "; ")
	}
	return all
}

// unfit is why no pipeline builds the event, whatever it says; or "".
func (e *event) unfit() string {
	branch, isBranch := e.branch()
	tag, isTag := e.tag()
	switch {
	case !isBranch && !isTag:
		return fmt.Sprintf("%q is neither a branch nor a tag: only these are built", clip(e.ref))
	case e.deleted && isTag:
		return fmt.Sprintf("tag %q was deleted", clip(tag))
	case e.deleted:
		return fmt.Sprintf("branch %q was deleted", clip(branch))
	}
	return ""
}

// noRef says that none of some pipelines builds a branch or tag, and what they build.
func noRef(e *event, all []verdict) string {
	branch, isBranch := e.branch()
	what := fmt.Sprintf("branch %q", clip(branch))
	if !isBranch {
		tag, _ := e.tag()
		what = fmt.Sprintf("tag %q", clip(tag))
	}
	const most = 5
	var built []string
	for _, v := range all[:min(len(all), most)] {
		built = append(built, fmt.Sprintf("%s builds %s", v.pipeline.pipeline.Name, clip(v.pipeline.pipeline.Refs())))
	}
	if len(all) > most {
		built = append(built, fmt.Sprintf("and %d more", len(all)-most))
	}
	return fmt.Sprintf("no pipeline of this webhook's secret builds %s (%s)", what, strings.Join(built, "; "))
}

// request is a request for what a push has of a pipeline.
func (e *event) request(v verdict) *messages.BuildRequested {
	r := &messages.BuildRequested{
		Build: messages.NewBuildID(v.pipeline.pipeline.Name), Pipeline: v.pipeline.pipeline, Commit: e.commit,
		Cause: messages.CausePush, RequestedBy: clip(e.pusher), Matched: v.why,
	}
	r.SetRef(e.ref)
	return r
}
