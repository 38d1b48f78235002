package producer

import (
	"fmt"
	"strings"

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

// noRef says that none of some pipelines builds a branch or tag, and what they build.
func noRef(e *event, pipelines []*declared) string {
	branch, isBranch := e.branch()
	what := fmt.Sprintf("branch %q", clip(branch))
	if !isBranch {
		tag, _ := e.tag()
		what = fmt.Sprintf("tag %q", clip(tag))
	}
	const most = 5
	var built []string
	for _, d := range pipelines[:min(len(pipelines), most)] {
		built = append(built, fmt.Sprintf("%s builds %s", d.pipeline.Name, clip(d.pipeline.Refs())))
	}
	if len(pipelines) > most {
		built = append(built, fmt.Sprintf("and %d more", len(pipelines)-most))
	}
	return fmt.Sprintf("no pipeline of this webhook's secret builds %s (%s)", what, strings.Join(built, "; "))
}

// match returns those of the pipelines that build what was pushed, or sets why none does.
func (e *event) match(pipelines []*declared) []*declared {
	branch, isBranch := e.branch()
	tag, isTag := e.tag()
	switch {
	case !isBranch && !isTag:
		e.ignored = fmt.Sprintf("%q is neither a branch nor a tag: only these are built", clip(e.ref))
		return nil
	case e.deleted && isTag:
		e.ignored = fmt.Sprintf("tag %q was deleted", clip(tag))
		return nil
	case e.deleted:
		e.ignored = fmt.Sprintf("branch %q was deleted", clip(branch))
		return nil
	}
	pipelines = e.of(pipelines)
	if pipelines == nil {
		return nil
	}
	var matching []*declared
	for _, d := range pipelines {
		if _, ok := d.takesRef(e.ref); ok {
			matching = append(matching, d)
		}
	}
	if matching == nil {
		e.ignored = noRef(e, pipelines)
	}
	return matching
}

// request is a request for what a push has of a pipeline.
func (e *event) request(d *declared) *messages.BuildRequested {
	r := &messages.BuildRequested{
		Build: messages.NewBuildID(d.pipeline.Name), Pipeline: d.pipeline, Commit: e.commit,
		Cause: messages.CausePush, RequestedBy: clip(e.pusher),
	}
	r.SetRef(e.ref)
	return r
}
