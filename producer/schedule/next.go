package schedule

import "time"

// Where clocks are put forward or back a schedule comes as cron(8) of Debian has it:
//
//   - One for a time of day (neither minute nor hour begins with *) comes once: a time that is skipped comes as soon as
//     clocks were put forward, and of a time that there is twice, the first counts.
//   - Any other follows the clock on the wall: what is skipped doesn't come, what there is twice comes twice.
//
// The library that reads expressions has rules of its own for these days; it is asked by a clock that has none.

// Next is the first time after t, or zero where none comes within nine years.
func (s *Schedule) Next(t time.Time) time.Time {
	now := s.periodOf(t)
	wall := s.notTwice(now, now.wall(t))
	for range mostPeriods {
		w := s.spec.Next(wall)
		if w.IsZero() {
			return w
		}
		if at := now.instant(w); now.end.IsZero() || at.Before(now.end) {
			return at.UTC()
		}
		next := s.periodOf(now.end)
		if skipped, until := now.wall(now.end), next.wall(now.end); !s.regular && skipped.Before(until) {
			if w := s.spec.Next(skipped.Add(-1)); w.Before(until) {
				return now.end.UTC()
			}
		}
		wall = s.notTwice(next, next.wall(now.end).Add(-1))
		now = next
	}
	return time.Time{}
}

// mostPeriods is above how often clocks are put forward and back in the years that are searched.
const mostPeriods = 1000

// Last is the last time that is after one and not after another, or zero where there is none. It looks nine years back.
func (s *Schedule) Last(after, until time.Time) time.Time {
	if oldest := until.AddDate(-searchYears, 0, 0); after.Before(oldest) {
		after = oldest
	}
	for back := time.Hour; ; back *= 8 {
		from := until.Add(-back)
		if from.Before(after) {
			from = after
		}
		var last time.Time
		for t := s.Next(from); !t.IsZero() && !t.After(until); t = s.Next(t) {
			last = t
		}
		if !last.IsZero() || !from.After(after) {
			return last
		}
	}
}

// period is a time in which clocks are not put forward or back.
type period struct {
	start, end time.Time     // zero where there is none
	ahead      time.Duration // of UTC
}

func (s *Schedule) periodOf(t time.Time) period {
	t = t.In(s.location)
	_, offset := t.Zone()
	p := period{ahead: time.Duration(offset) * time.Second}
	p.start, p.end = t.ZoneBounds()
	if !p.end.IsZero() && !p.end.After(t) { // as Go has it on the last day of a leap year that is past the zone's table
		p.end = t.AddDate(0, 0, 1)
	}
	return p
}

// wall is what clocks show, as if it were UTC.
func (p *period) wall(t time.Time) time.Time { return t.UTC().Add(p.ahead) }

func (p *period) instant(wall time.Time) time.Time { return wall.Add(-p.ahead) }

// notTwice is what clocks show, or the last of what they showed before they were put back, where they show it again.
func (s *Schedule) notTwice(p period, wall time.Time) time.Time {
	if s.regular || p.start.IsZero() {
		return wall
	}
	before := s.periodOf(p.start.Add(-1))
	if shown := before.wall(p.start).Add(-1); wall.Before(shown) {
		return shown
	}
	return wall
}
