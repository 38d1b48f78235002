package producer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/producer/schedule"
	"github.com/fenceline/fenceline/yamlfile"
	"go.yaml.in/yaml/v3"
)

// mostSchedules bounds those of one pipeline.
const mostSchedules = 50

// scheduled is one schedule of a pipeline.
type scheduled struct {
	schedule   *schedule.Schedule
	Expression string
	Zone       string
	Branch     string
	OnlyIf     string // see messages.BuildRequested
	node       *yaml.Node
}

// same tells whether it comes and builds as another.
func (s *scheduled) same(o *scheduled) bool {
	return s.Expression == o.Expression && s.Zone == o.Zone && s.Branch == o.Branch && s.OnlyIf == o.OnlyIf
}

func (s *scheduled) key(pipeline string) string {
	return messages.ScheduleKey(pipeline, s.Expression, s.Zone, s.Branch)
}

// String is the expression and the zone, and the branch where it is not the pipeline's own.
func (s *scheduled) String() string { return s.Expression + " " + s.Zone }

// schedules reads when a pipeline is built whether anything was pushed or not.
func (d *document) schedules(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		if d.schema == nil && d.notAList(n, field) {
			return
		}
		d.List(n, field, func(n *yaml.Node, field string) { d.schedule(x, n, field) })
		if len(x.schedules) > mostSchedules {
			d.Problem(n, field, "has %d schedules: at most %d for one pipeline", len(x.schedules), mostSchedules)
		}
	}
}

// notAList tells who writes a schedule as other programs have it how it is written here.
func (d *document) notAList(n *yaml.Node, field string) bool {
	switch n := followed(n); {
	case n.Kind == yaml.ScalarNode && strings.Contains(n.Value, " "), n.Kind == yaml.ScalarNode && strings.HasPrefix(n.Value, "@"):
		d.Problem(n, field, "is a list of schedules: write [{cron: %q}]", clip(n.Value))
	case n.Kind == yaml.MappingNode:
		d.Problem(n, field, "is a list of schedules: put a hyphen before this one: - cron: …")
	default:
		return false
	}
	return true
}

// schedule reads one item of schedule.
func (d *document) schedule(x *declared, n *yaml.Node, field string) {
	if d.schema == nil {
		if v := followed(n); v.Kind == yaml.ScalarNode && v.Tag == "!!str" {
			d.Problem(n, field, "is a schedule without its field: write {cron: %q}", clip(v.Value))
			return
		}
	}
	s := scheduled{Zone: schedule.UTC, node: n}
	before := d.Troubles()
	d.mapping(n, field, []key{
		{"cron", "give a cron expression, such as \"0 3 * * 1\" for Mondays at 3:00", d.text(&s.Expression, func(text string) error {
			_, err := schedule.Parse(text, schedule.UTC)
			return err
		})},
		{"time_zone", "", d.text(&s.Zone, schedule.CheckZone)},
		{"branch", "", d.text(&s.Branch, func(text string) error {
			if messages.IsPattern(text) {
				return fmt.Errorf("%q is a pattern: a schedule builds one branch; give it a schedule of its own for each", clip(text))
			}
			_, err := messages.WrittenBranch(text)
			return err
		})},
		{"only_if", "", d.text(&s.OnlyIf, func(text string) error {
			known := messages.Conditions()
			if slices.Contains(known, text) {
				return nil
			}
			return fmt.Errorf("%q is no condition: write %s, or leave it out to have it built in any case", clip(text), strings.Join(known, ", "))
		})},
	})
	if d.schema != nil || d.partial || d.Troubles() > before {
		return
	}
	var err error
	if s.schedule, err = schedule.Parse(s.Expression, s.Zone); err != nil {
		d.Problem(n, field, "%v", err) // each was read for itself
		return
	}
	x.schedules = append(x.schedules, s)
}

// fillSchedules completes the schedules by the rest of the pipeline.
func (d *document) fillSchedules(x *declared, field string) {
	seen := map[string]bool{}
	for i := range x.schedules {
		s := &x.schedules[i]
		at := fmt.Sprintf("%s[%d]", join(field, "schedule"), i)
		named := s.Branch
		if named == "" {
			s.Branch = x.pipeline.Branch
		} else if branch, err := messages.WrittenBranch(named); err == nil {
			s.Branch = branch
		}
		if _, ok := x.takesRef(branchRefs + s.Branch); !ok {
			if named == "" {
				d.Problem(s.node, yamlfile.Join(at, "branch"), "is missing: name the branch that is built, one that the pipeline's branches match")
			} else {
				d.Problem(value(s.node, "branch"), yamlfile.Join(at, "branch"), "%q is no branch that this pipeline builds (%s): add it there, or name another", clip(named), clip(x.pipeline.Refs()))
			}
			continue
		}
		if k := s.key(x.pipeline.Name); seen[k] {
			d.Problem(s.node, at, "is there twice: remove one of them")
		} else {
			seen[k] = true
		}
	}
}
