package producer

import (
	"strings"
	"testing"
)

func TestSchedulesAreRead(t *testing.T) {
	p := load(t, item("    branches: [main, 'release/*']", `    schedule:
      - cron: "0 3 * * 1"
      - {cron: "@daily", time_zone: Europe/Berlin, branch: release/1, only_if: changed}`))
	got := p.declared[0].schedules
	if len(got) != 2 || got[0].Branch != "main" || got[0].Zone != "UTC" || got[0].OnlyIf != "" || got[1].OnlyIf != "changed" ||
		got[1].Branch != "release/1" || got[1].Zone != "Europe/Berlin" {
		t.Errorf("they are %+v", got)
	}
}

// TestSchedulesOfDefaults are those of pipelines that have none of their own, each with its branch.
func TestSchedulesOfDefaults(t *testing.T) {
	p := load(t, "defaults: {schedule: [{cron: '0 3 * * *'}]}\n"+item("    branch: next")+"  - {name: b, repository: 'https://git.example.com/b.git', image: example.com/b, schedule: [{cron: '0 4 * * *'}]}\n")
	a, b := p.declared[0].schedules, p.declared[1].schedules
	if len(a) != 1 || a[0].Branch != "next" || len(b) != 1 || b[0].Expression != "0 4 * * *" {
		t.Errorf("they are %+v and %+v", a, b)
	}
}

func TestSchedulesThatAreWrong(t *testing.T) {
	for name, test := range map[string]struct{ lines, says string }{
		"an expression":       {`    schedule: [{cron: "0 25 * * *"}]`, `:6: pipelines[0].schedule[0].cron: the hour "25" (at character 3): 25 is outside of it`},
		"one that never is":   {`    schedule: [{cron: "0 0 30 2 *"}]`, "never comes"},
		"one too often":       {`    schedule: [{cron: "* * * * *"}]`, "comes every minute"},
		"a zone":              {`    schedule: [{cron: "@daily", time_zone: Europe/Berln}]`, `did you mean "Europe/Berlin"?`},
		"no expression":       {`    schedule: [{time_zone: UTC}]`, "schedule[0].cron: is missing"},
		"a field":             {`    schedule: [{cron: "@daily", timezone: UTC}]`, `did you mean "time_zone"?`},
		"text":                {`    schedule: "0 3 * * *"`, `write [{cron: "0 3 * * *"}]`},
		"text in the list":    {`    schedule: ["0 3 * * *"]`, `write {cron: "0 3 * * *"}`},
		"a mapping":           {`    schedule: {cron: "0 3 * * *"}`, "put a hyphen before"},
		"a number":            {`    schedule: 5`, "a list was expected"},
		"a pattern":           {`    schedule: [{cron: "@daily", branch: "release/*"}]`, "is a pattern"},
		"another branch":      {`    schedule: [{cron: "@daily", branch: next}]`, `"next" is no branch that this pipeline builds (`},
		"no branch":           {"    branches: ['release/*']\n    schedule: [{cron: \"@daily\"}]", "schedule[0].branch: is missing"},
		"twice":               {`    schedule: [{cron: "@daily"}, {cron: "@daily", branch: main}]`, "schedule[1]: is there twice"},
		"a condition":         {`    schedule: [{cron: "@daily", only_if: change}]`, `schedule[0].only_if: "change" is no condition: write changed, or leave it out`},
		"no condition":        {`    schedule: [{cron: "@daily", only_if: true}]`, "schedule[0].only_if: "},
		"only conditions":     {`    schedule: [{cron: "@daily"}, {cron: "@daily", only_if: changed}]`, "schedule[1]: is there twice"},
		"too many":            {`    schedule: [` + strings.Repeat(`{cron: "@daily"}, `, 51) + `]`, "has 51 schedules"},
		"without quotes":      {`    schedule: [{cron: */5 * * * *}]`, "is not YAML"},
		"another's time zone": {`    schedule: [{cron: "TZ=Europe/Berlin 0 3 * * *"}]`, "write it as time_zone: Europe/Berlin"},
	} {
		_, err := LoadPipelines(writeFile(t, item(test.lines)))
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
