package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/producer/registry"
	"github.com/fenceline/fenceline/terminal"
)

// baseLooks are what producers saw last of the bases that pipelines follow. There are none where an installation, or the
// credential that asks, is from before there were any.
func (s *session) baseLooks(ctx context.Context) ([]messages.BaseLook, error) {
	all, err := store.BaseLooks(s.queue).List(ctx)
	if errors.Is(err, queue.ErrUndeclared) || errors.Is(err, queue.ErrForbidden) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []messages.BaseLook
	for _, e := range all {
		out = append(out, e.Value)
	}
	slices.SortFunc(out, func(a, b messages.BaseLook) int { return strings.Compare(a.Source, b.Source) })
	return out, nil
}

// baseProblems are those of the bases that their registries don't show.
func (s *session) baseProblems(ctx context.Context) ([]messages.BaseLook, error) {
	all, err := s.baseLooks(ctx)
	return slices.DeleteFunc(all, func(l messages.BaseLook) bool { return l.Problem == "" }), err
}

// writeBaseProblems writes them for people.
func (o *statusReport) writeBaseProblems(p *terminal.Page) {
	for _, l := range o.BaseProblems {
		p.Line("\nproblem: base %s can't be looked at since %s, so its changes lead to no rebuild; it is asked for again at %s: %s",
			l.Source, l.Since.Local().Format(time.DateTime), l.Again.Local().Format(time.DateTime), l.Problem)
	}
}

// checkBases asks the registries of the bases that pipelines follow, with the producer's own login.
func (d *doctor) checkBases(ctx context.Context) checked {
	c := checked{What: "bases"}
	if d.config == "" {
		c.Found = "no pipeline file is named here"
		return c
	}
	p, err := producer.LoadWithoutSecrets(d.config)
	if err != nil { // which is the finding of the pipeline file
		c.Found = "not known without the pipeline file"
		return c
	}
	q, err := d.access.dial(ctx)
	if err != nil { // which is the finding of NATS
		c.Found = "not known without NATS"
		return c
	}
	defer q.Close()
	client, err := registry.New(registry.Config{DockerConfig: cmp.Or(d.builder.DockerConfig, d.access.dockerConfig), CAFile: d.registries.CAFile, PlainHTTP: d.registries.PlainHTTP})
	if err != nil {
		return c.problem(err)
	}
	graph, err := (&session{queue: q}).graph(ctx, p)
	if err != nil {
		return c.problem(err)
	}
	asked, wrong := map[string]bool{}, []error(nil)
	for i := range graph {
		for _, b := range graph[i].Bases {
			if !b.Followed || asked[b.Source] {
				continue
			}
			asked[b.Source] = true
			if _, err := client.Digest(ctx, b.Source, ""); err != nil {
				wrong = append(wrong, err)
			}
		}
	}
	if len(wrong) > 0 {
		return c.problem(errors.Join(wrong...))
	}
	if c.Found = fmt.Sprintf("%s that pipelines follow can be seen", overview.Counted(len(asked), "base")); len(asked) == 0 {
		c.Found = "no pipeline that was built follows any"
	}
	return c
}
