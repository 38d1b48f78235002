package cli

import (
	"time"

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
		p.Row(s.Pipeline, s.Cron+" "+s.TimeZone, s.Branch, localTime(s.Next), localTime(s.Last), s.Build)
	}
	for _, s := range all {
		if s.Problem != "" {
			p.Line("\nproblem: schedule %s of pipeline %s has nothing built: %s", s.Cron, s.Pipeline, s.Problem)
		}
	}
}

// localTime is a time as this machine's clock shows it, with its offset; "" for none.
func localTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("Mon 2006-01-02 15:04 -0700")
}
