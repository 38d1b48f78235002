package producer

import (
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"go.yaml.in/yaml/v3"
)

// ScheduleState is what a producer knows of a schedule.
type ScheduleState struct {
	Pipeline string    `json:"pipeline" doc:"the pipeline's name"`
	Cron     string    `json:"cron" doc:"the expression"`
	TimeZone string    `json:"time_zone" doc:"the zone in which the clock is read"`
	Branch   string    `json:"branch" doc:"the branch whose head is built"`
	OnlyIf   string    `json:"only_if,omitempty" doc:"what must be so for a build to be done: changed; left out for in any case"`
	Next     time.Time `json:"next,omitzero" doc:"when it comes next; left out where that is not known yet"`
	Last     time.Time `json:"last,omitzero" doc:"the time that came last and was seen to"`
	Build    string    `json:"build,omitempty" doc:"the build that it led to"`
	Problem  string    `json:"problem,omitempty" doc:"why no build can be asked for; left out where nothing stands in the way"`
}

// state is that of a schedule of which no record was seen.
func (s *scheduled) state(d *declared) ScheduleState {
	return ScheduleState{Pipeline: d.pipeline.Name, Cron: s.Expression, TimeZone: s.Zone, Branch: s.Branch, OnlyIf: s.OnlyIf}
}

// scheduled are the schedules, in the order of the file, as they are before anything of them is known.
func (p *Pipelines) scheduled() []ScheduleState {
	var out []ScheduleState
	for _, d := range p.declared {
		for i := range d.schedules {
			out = append(out, d.schedules[i].state(d))
		}
	}
	return out
}

// CommentSchedules has each schedule of a file that Render made say when it comes next after now.
func (p *Pipelines) CommentSchedules(file *yaml.Node, now time.Time) {
	for _, pipeline := range value(file, "pipelines").Content {
		d, list := p.byName[value(pipeline, "name").Value], value(pipeline, "schedule")
		if d == nil || list == nil || len(list.Content) != len(d.schedules) {
			continue
		}
		for i, item := range list.Content {
			s := d.schedules[i].schedule
			value(item, "cron").LineComment = "next: " + s.Next(now).In(s.Location()).Format("Mon 2006-01-02 15:04 MST")
		}
	}
}

// keep forgets what is known of schedules that pipelines don't have.
func (s *schedules) keep(p *Pipelines) {
	s.lock.Lock()
	defer s.lock.Unlock()
	before := s.state
	s.state = map[string]ScheduleState{}
	for _, d := range p.declared {
		for i := range d.schedules {
			of := &d.schedules[i]
			now, was := of.state(d), before[of.key(d.pipeline.Name)]
			now.Next, now.Last, now.Build, now.Problem = was.Next, was.Last, was.Build, was.Problem
			s.state[of.key(d.pipeline.Name)] = now
		}
	}
}

// note takes down when a schedule comes next, and what its record says.
func (s *schedules) note(d *declared, of *scheduled, r *messages.ScheduleRecord, next time.Time) {
	s.lock.Lock()
	defer s.lock.Unlock()
	now := of.state(d)
	now.Next, now.Problem = next, s.state[of.key(d.pipeline.Name)].Problem
	if r != nil && r.Build != "" {
		now.Last, now.Build = r.Last, r.Build
	}
	s.state[of.key(d.pipeline.Name)] = now
}

// say logs what keeps a schedule from its builds, once for as long as it stays, and takes it down.
func (s *schedules) say(p *Producer, d *declared, of *scheduled, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	key, text := of.key(d.pipeline.Name), ""
	if err != nil {
		text = explainTriggers(err)
	}
	now := s.state[key]
	now.Problem = text
	s.state[key] = now
	if s.told[key] == text {
		return
	}
	s.told[key] = text
	log := p.log.With().Str("pipeline", d.pipeline.Name).Stringer("schedule", of).Logger()
	if text != "" {
		log.Warn().Str("error", text).Msg("a schedule's build can't be asked for now: it is tried again")
	} else {
		log.Info().Msg("nothing keeps the schedule from its builds any more")
	}
}

// explainTriggers says what is to be done about an installation that is from before there were triggers.
func explainTriggers(err error) string {
	switch {
	case errors.Is(err, queue.ErrForbidden):
		return "the producer's NATS user may not use the bucket of triggers: run the new 'fenceline init --dir' and have NATS read what it writes: " + err.Error()
	case errors.Is(err, queue.ErrUndeclared):
		return "the bucket of triggers is not declared: start a controller of this version, or run 'fenceline init --nats': " + err.Error()
	}
	return err.Error()
}

// Schedules are what the producer knows of the schedules in force, in the order of the file.
func (p *Producer) Schedules() []ScheduleState {
	p.schedules.lock.Lock()
	defer p.schedules.lock.Unlock()
	pipelines := p.inForce.Load().pipelines
	out := pipelines.scheduled()
	i := 0
	for _, d := range pipelines.declared {
		for n := range d.schedules {
			if state, ok := p.schedules.state[d.schedules[n].key(d.pipeline.Name)]; ok {
				out[i] = state
			}
			i++
		}
	}
	return out
}
