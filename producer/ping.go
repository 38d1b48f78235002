package producer

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// ping asks whether pushes would be taken: who sets a webhook up looks at its answer.
type ping struct {
	repositories  []string // the URLs of its repository; none where it is not of one
	defaultBranch string   // or "" where it doesn't tell
	events        []string // those that the webhook sends; none where it doesn't tell
}

// pingAnswer says of each thing that a push needs whether it is right, and what to change.
type pingAnswer struct {
	Built       bool   `json:"built" doc:"a push of a branch that is named here would be built"`
	Secret      string `json:"secret" doc:"whose secret signed it"`
	ContentType string `json:"content_type" doc:"whether the form that it is sent in is read"`
	Events      string `json:"events" doc:"whether pushes are sent"`
	Repository  string `json:"repository" doc:"whose repository it is"`
	Branch      string `json:"branch,omitempty" doc:"which branches and tags are built"`
}

// answer looks at all that a push from the ping's sender needs. pipelines are those whose secret signed it.
func (p *ping) answer(h http.Header, pipelines []*declared) *pingAnswer {
	a := &pingAnswer{Built: true, Secret: "right: it is that of " + named(pipelines), ContentType: contentType(h)}
	if a.Events = "not told: have it send push events"; len(p.events) > 0 {
		a.Events = "right: pushes are sent"
		if !slices.Contains(p.events, "push") && !slices.Contains(p.events, "*") {
			a.Built, a.Events = false, "wrong: pushes are not sent: select the push event in the webhook's settings"
		}
	}
	if len(p.repositories) == 0 {
		a.Repository = "not told: pushes of the repositories of " + named(pipelines) + " are taken"
	} else {
		e := event{repositories: p.repositories}
		if pipelines = e.of(pipelines); pipelines == nil {
			a.Built, a.Repository = false, "wrong: "+e.ignored
			return a
		}
		a.Repository = "right: it is that of " + named(pipelines)
	}
	a.Branch = p.branches(pipelines)
	return a
}

// branches says which are built.
func (p *ping) branches(pipelines []*declared) string {
	if len(pipelines) == 0 {
		return "no push would be taken: no pipeline takes these webhooks"
	}
	taken, whole := make([]string, len(pipelines)), false
	for i, d := range pipelines {
		taken[i] = fmt.Sprintf("%s for pipeline %s%s", clip(d.pipeline.Refs()), d.pipeline.Name, d.filtered())
		_, ok := d.takesRef(branchRefs + p.defaultBranch)
		whole = whole || ok
	}
	said := "a push would be taken, of " + strings.Join(taken, ", ")
	if len(p.repositories) == 0 {
		said = "a push of the repository of one of these pipelines would be taken (this test names none), of " + strings.Join(taken, ", ")
	}
	if p.defaultBranch != "" && !whole {
		said += fmt.Sprintf("; of the repository's default branch, %q, none is: it is no pipeline's branch; have a pipeline's branch or branches name it if it is to be built", clip(p.defaultBranch))
	}
	return said
}

// filtered says which pushes of its branches are not built.
func (d *declared) filtered() string {
	var only []string
	if d.pathList != nil {
		only = append(only, "changes a file that matches its paths")
	}
	if d.skipCI {
		only = append(only, "has no [skip ci]")
	}
	if only == nil {
		return ""
	}
	return " where it " + strings.Join(only, " and ")
}

// sentence is all of it in one, for the log and for who looks for one.
func (a *pingAnswer) sentence() string {
	if a.Built {
		return "a ping: " + a.Branch
	}
	var wrong []string
	for _, s := range []string{a.Events, a.Repository} {
		if text, ok := strings.CutPrefix(s, "wrong: "); ok {
			wrong = append(wrong, text)
		}
	}
	return "a ping, but a push would be ignored: " + strings.Join(wrong, "; ")
}

func named(pipelines []*declared) string {
	names := make([]string, len(pipelines))
	for i, d := range pipelines {
		names[i] = d.pipeline.Name
	}
	if len(names) == 1 {
		return "pipeline " + names[0]
	}
	return "pipelines " + strings.Join(names, ", ")
}

// contentType says whether the kind of body is one that is meant for here.
func contentType(h http.Header) string {
	if kind := oddContentType(h); kind != "" {
		return fmt.Sprintf("%s is read as JSON: choose application/json", kind)
	}
	return "right: a push is read as this was"
}

// oddContentType is the kind of a body that is neither JSON nor a form, or "".
func oddContentType(h http.Header) string {
	written := h.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(written)
	if written == "" || err == nil && (kind == "application/json" || kind == "application/x-www-form-urlencoded" || strings.HasSuffix(kind, "+json")) {
		return ""
	}
	return clip(written)
}
