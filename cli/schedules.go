package cli

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/terminal"
)

// schedules are those of the first producer that tells of any: all have the same file, or status says that they don't.
func (o *statusReport) schedules() []producer.ScheduleState {
	for i := range o.Producers {
		if s := o.Producers[i].Schedules; len(s) > 0 {
			return s
		}
	}
	return nil
}

// writeSchedules writes when schedules come, and what stands in their way.
func (o *statusReport) writeSchedules(p *terminal.Page) {
	all := o.schedules()
	if len(all) == 0 {
		return
	}
	p.Line("")
	p.Head("PIPELINE", "SCHEDULE", "BRANCH", "NEXT", "LAST", "BUILD")
	for _, s := range all {
		when, build := s.Cron+" "+s.TimeZone, s.Build
		if s.OnlyIf != "" {
			when += ", only if " + s.OnlyIf
		}
		if o.unchanged[s.Build] != "" {
			build += " (" + string(messages.BuildStateUnchanged) + ")"
		}
		p.Row(s.Pipeline, when, s.Branch, localTime(s.Next), localTime(s.Last), build)
	}
	for _, s := range all {
		if why := o.unchanged[s.Build]; why != "" {
			p.Line("\nschedule %s of pipeline %s had nothing built %s: %s", s.Cron, s.Pipeline, localTime(s.Last), why)
		}
	}
	for _, s := range all {
		if s.Problem != "" {
			p.Line("\nproblem: schedule %s of pipeline %s has nothing built: %s", s.Cron, s.Pipeline, s.Problem)
		}
	}
}

// unchanged says of the builds that schedules led to last why nothing was built, by build.
func (s *session) unchanged(ctx context.Context, all []producer.ScheduleState) (map[string]string, error) {
	why := map[string]string{}
	for _, schedule := range all {
		if schedule.OnlyIf == "" || messages.CheckID("build", schedule.Build) != nil {
			continue
		}
		e, err := store.Builds(s.queue).Get(ctx, schedule.Build)
		switch {
		case err == nil && e.Value.Unchanged != "":
			why[schedule.Build] = e.Value.Unchanged
		case err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed):
			return nil, err
		}
	}
	return why, nil
}

// localTime is a time as this machine's clock shows it, with its offset; "" for none.
func localTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("Mon 2006-01-02 15:04 -0700")
}
