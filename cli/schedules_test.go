package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/terminal"
)

func TestStatusShowsSchedules(t *testing.T) {
	next := time.Date(2027, 6, 7, 3, 0, 0, 0, time.UTC)
	o := statusReport{unchanged: map[string]string{"base-unchangd": "nothing \x1b[31mhas changed"}, Producers: []producerStatus{{URL: "http://one", Away: "it is gone"}, {URL: "http://two"}}}
	o.Producers[1].Schedules = []producer.ScheduleState{
		{Pipeline: "base", Cron: "0 3 * * 1", TimeZone: "UTC", Branch: "main", Next: next, Last: next.AddDate(0, 0, -7), Build: "base-abcdefgh"},
		{Pipeline: "base", Cron: "0 4 * * 1", TimeZone: "UTC", Branch: "main", OnlyIf: "changed", Next: next, Last: next, Build: "base-unchangd"},
		{Pipeline: "other", Cron: "@daily", TimeZone: "Asia/Tokyo", Branch: "main", Problem: "who\x1b[31m are you?"},
	}
	var out strings.Builder
	p := terminal.NewPage(&out)
	o.writeSchedules(p)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NEXT", next.Local().Format("Mon 2006-01-02 15:04"), "base-abcdefgh", "0 4 * * 1 UTC, only if changed", "base-unchangd (unchanged)",
		"schedule 0 4 * * 1 of pipeline base had nothing built " + next.Local().Format("Mon 2006-01-02 15:04 -0700") + ": nothing ", "problem: schedule @daily of pipeline other has nothing built: who"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("it orders the terminal about:\n%q", out.String())
	}
}
