package schedule

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func parsed(t testing.TB, expression, zone string) *Schedule {
	t.Helper()
	s, err := Parse(expression, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestClocksThatArePutForwardAndBack has the days on which they are.
func TestClocksThatArePutForwardAndBack(t *testing.T) {
	for name, test := range map[string]struct {
		expression, zone, from string // as clocks show it, with the offset
		comes                  string
	}{
		"a skipped time of day comes at the change": {
			"30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00+01:00",
			"03-28T03:00+02:00 03-29T02:30+02:00",
		},
		"several that are skipped come once": {
			"0,30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00+01:00",
			"03-28T03:00+02:00 03-29T02:00+02:00 03-29T02:30+02:00",
		},
		"with the one at which clocks go on, once": {
			"0 2,3 * * *", "Europe/Berlin", "2027-03-28T00:00:00+01:00",
			"03-28T03:00+02:00 03-29T02:00+02:00",
		},
		"one that is not skipped": {
			"0 3 * * *", "Europe/Berlin", "2027-03-27T12:00:00+01:00",
			"03-28T03:00+02:00 03-29T03:00+02:00",
		},
		"each hour follows the clock, forward": {
			"30 * * * *", "Europe/Berlin", "2027-03-28T00:45:00+01:00",
			"03-28T01:30+01:00 03-28T03:30+02:00 03-28T04:30+02:00",
		},
		"every 20 minutes of an hour that is skipped": {
			"*/20 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00+01:00",
			"03-29T02:00+02:00 03-29T02:20+02:00",
		},
		"a time of day that there is twice comes once": {
			"30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00+02:00",
			"10-31T02:30+02:00 11-01T02:30+01:00",
		},
		"nor after a start between the two": {
			"30 2 * * *", "Europe/Berlin", "2027-10-31T02:10:00+01:00",
			"11-01T02:30+01:00",
		},
		"the hour at which it is over": {
			"0 2,3 * * *", "Europe/Berlin", "2027-10-31T01:00:00+02:00",
			"10-31T02:00+02:00 10-31T03:00+01:00 11-01T02:00+01:00",
		},
		"each hour follows the clock, back": {
			"30 * * * *", "Europe/Berlin", "2027-10-31T01:45:00+02:00",
			"10-31T02:30+02:00 10-31T02:30+01:00 10-31T03:30+01:00",
		},
		"New York": {
			"30 1 * * *", "America/New_York", "2027-11-06T12:00:00-04:00",
			"11-07T01:30-04:00 11-08T01:30-05:00",
		},
		"half an hour forward": {
			"15 2 * * *", "Australia/Lord_Howe", "2027-10-02T12:00:00+10:30",
			"10-03T02:30+11:00 10-04T02:15+11:00",
		},
		"half an hour back": {
			"45 1 * * *", "Australia/Lord_Howe", "2027-04-03T12:00:00+11:00",
			"04-04T01:45+11:00 04-05T01:45+10:30",
		},
		"a midnight that there is not": {
			"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00-03:00",
			"11-04T01:00-02:00 11-05T00:00-02:00",
		},
		"a day that there is not": {
			"0 12 * * *", "Pacific/Apia", "2011-12-29T13:00:00-10:00",
			"12-31T00:00+14:00 12-31T12:00+14:00 01-01T12:00+14:00",
		},
		"a zone whose clocks stay": {
			"0 3 * * 1", "Asia/Tokyo", "2027-03-27T12:00:00+09:00",
			"03-29T03:00+09:00 04-05T03:00+09:00",
		},
		"day or weekday": {
			"0 0 13 * 5", "UTC", "2027-01-07T00:00:00Z",
			"01-08T00:00Z 01-13T00:00Z 01-15T00:00Z",
		},
		"years past the tables of zones": {
			"0 0 31 12 *", "Europe/Berlin", "2039-12-30T00:00:00+01:00",
			"12-31T00:00+01:00 12-31T00:00+01:00 12-31T00:00+01:00",
		},
		"a leap day over 2100": {
			"0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z",
			"02-29T00:00Z",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := parsed(t, test.expression, test.zone)
			at, err := time.Parse(time.RFC3339, test.from)
			if err != nil {
				t.Fatal(err)
			}
			from := at
			for want := range strings.FieldsSeq(test.comes) {
				if at = s.Next(at); at.In(s.location).Format("01-02T15:04Z07:00") != want {
					t.Errorf("it comes %s in place of %s", at.In(s.location).Format("01-02T15:04Z07:00"), want)
				}
			}
			if last := s.Last(from, at); !last.Equal(at) {
				t.Errorf("the last until then is %s", last)
			}
		})
	}
}

// TestTimesAreInOrder whatever the schedule and the zone: each is after the one before, nothing lies between, and the last
// one is found from any distance.
func TestTimesAreInOrder(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran", "America/St_Johns", "Pacific/Apia"}
	rapid.Check(t, func(r *rapid.T) {
		hour := rapid.SampledFrom([]string{"*", "*/3", "2", "1,2,3", "0-4", "0"}).Draw(r, "hour")
		minute := rapid.SampledFrom([]string{"0", "30", "*/15", "15,45", "59"}).Draw(r, "minute")
		day := rapid.SampledFrom([]string{"*", "*/2", "1-7", "31"}).Draw(r, "day")
		s, err := Parse(minute+" "+hour+" "+day+" * *", rapid.SampledFrom(zones).Draw(r, "zone"))
		if err != nil {
			r.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1_000_000_000, 2_400_000_000).Draw(r, "at"), rapid.Int64Range(0, 1e9-1).Draw(r, "nanoseconds"))
		first := s.Next(at)
		second := s.Next(first)
		if !first.After(at) || !second.After(first) {
			r.Fatalf("after %s come %s and %s", at, first, second)
		}
		between := first.Add(time.Duration(rapid.Int64Range(0, int64(second.Sub(first))-1).Draw(r, "between")))
		if next := s.Next(between); !next.Equal(second) {
			r.Fatalf("after %s comes %s in place of %s", between, next, second)
		}
		if last := s.Last(at, between); !last.Equal(first) {
			r.Fatalf("the last of (%s, %s] is %s in place of %s", at, between, last, first)
		}
		if last := s.Last(between, second.Add(-1)); !last.IsZero() {
			r.Fatalf("between %s and %s there is %s", between, second, last)
		}
	})
}
