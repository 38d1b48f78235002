package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/suggest"
	"github.com/netresearch/go-cron"
)

// Schedule is a cron expression in a time zone. It doesn't change.
type Schedule struct {
	expression, zone string
	spec             *cron.SpecSchedule // by a clock that is never put forward or back
	location         *time.Location
	regular          bool // it follows the clock on the wall: see next
}

// MostOften is the least time between two times of a schedule. Each has an image built from its first step on.
const MostOften = 5 * time.Minute

// searchYears is how far the next time is looked for: 29 February of a given year can be eight years off, and a weekday that must fall on
// it doesn't narrow that, as one of the two is enough.
const searchYears = 9

// parser reads what crontab(5) has: five fields, names of months and weekdays, and either of day and weekday where both are restricted.
var parser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom).WithMaxSearchYears(searchYears) //nolint:gochecknoglobals // a constant

// Parse reads a cron expression, or one of the words for some, for a time zone. Errors say where it is wrong, and what to write.
func Parse(expression, zoneName string) (*Schedule, error) {
	l, err := zone(zoneName)
	if err != nil {
		return nil, err
	}
	text, err := fiveFields(expression)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(text)
	spec, err := read(fields)
	if err != nil {
		return nil, explain(fields, err)
	}
	s := &Schedule{
		expression: expression, zone: zoneName, spec: spec, location: l,
		regular: strings.HasPrefix(fields[0], "*") || strings.HasPrefix(fields[1], "*"),
	}
	return s, s.check()
}

// read is the library's, which takes empty items of a list, and a word of another program.
func read(fields []string) (*cron.SpecSchedule, error) {
	for _, f := range fields {
		if strings.Contains(f, "?") || slices.Contains(strings.Split(f, ","), "") {
			return nil, errors.New("it has an empty part")
		}
	}
	of, err := parser.Parse(strings.Join(fields, " "))
	if err != nil {
		return nil, err
	}
	spec, ok := of.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New("it is of another kind")
	}
	spec.Location = time.UTC
	return spec, nil
}

// String is the expression and the zone.
func (s *Schedule) String() string { return s.expression + " " + s.zone }

// Location is the zone that the clock is read in.
func (s *Schedule) Location() *time.Location { return s.location }

// words are the expressions that have one.
var words = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// fiveFields is an expression without what other programs have before or in it.
func fiveFields(text string) (string, error) {
	fields := strings.Fields(text)
	switch {
	case len(text) > 200:
		return "", fmt.Errorf("has %d characters: a cron expression has five fields, such as \"0 3 * * 1\"", len(text))
	case len(fields) == 0:
		return "", errors.New("is empty: give a cron expression of five fields, such as \"0 3 * * 1\" for Mondays at 3:00")
	case strings.HasPrefix(fields[0], "TZ=") || strings.HasPrefix(fields[0], "CRON_TZ="):
		_, name, _ := strings.Cut(fields[0], "=")
		return "", fmt.Errorf("begins with a time zone: write it as time_zone: %s, and %q alone here", shorten(name), shorten(strings.Join(fields[1:], " ")))
	case strings.HasPrefix(fields[0], "@every"):
		return "", fmt.Errorf("%q has no times that producers could agree on: give a cron expression, such as \"0 */6 * * *\" for every six hours", shorten(text))
	case fields[0] == "@reboot":
		return "", errors.New("\"@reboot\" is no time: give a cron expression, such as \"0 3 * * 1\"")
	case strings.HasPrefix(fields[0], "@"):
		if five, ok := words[strings.ToLower(text)]; ok {
			return five, nil
		}
		known := slices.Sorted(func(yield func(string) bool) {
			for w := range words {
				if !yield(w) {
					return
				}
			}
		})
		return "", fmt.Errorf("%q is not one of %s%s", shorten(text), strings.Join(known, ", "), suggest.DidYouMean(text, known))
	case len(fields) == 6 || len(fields) == 7:
		return "", fmt.Errorf("%q has %d fields, the first perhaps for seconds: there are five: minute, hour, day, month, weekday; perhaps %q", shorten(text), len(fields), shorten(strings.Join(fields[1:6], " ")))
	case len(fields) != 5:
		return "", fmt.Errorf("%q has %s in place of five: minute, hour, day, month, weekday, with * for every one", shorten(text), counted(len(fields)))
	}
	return strings.Join(fields, " "), nil
}

func counted(n int) string {
	if n == 1 {
		return "one field"
	}
	return strconv.Itoa(n) + " fields"
}

// field is one of the five.
type field struct {
	name      string
	low, high int
	names     []string // of its values
}

var fields = []field{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day", 1, 31, nil},
	{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{"weekday", 0, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// explain finds the field that is wrong.
func explain(texts []string, all error) error {
	at := 1
	for i, f := range fields {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = texts[i]
		if _, err := read(alone); err != nil {
			return fmt.Errorf("the %s %q (at character %d): %s", f.name, shorten(texts[i]), at, f.wrong(texts[i]))
		}
		at += len([]rune(texts[i])) + 1
	}
	return fmt.Errorf("is no cron expression: %w", all)
}

var (
	wordForm   = regexp.MustCompile(`[A-Za-z]+`)
	numberForm = regexp.MustCompile(`[0-9]+`)
	stepForm   = regexp.MustCompile(`/([0-9]+)`)
)

// wrong says what a field takes, and what of it the text has not.
func (f field) wrong(text string) string {
	takes := fmt.Sprintf("it takes %d to %d, lists (1,5), ranges (1-5) and steps (*/5)", f.low, f.high)
	if f.names != nil {
		takes = fmt.Sprintf("it takes %d to %d or %s to %s, lists (1,5), ranges (1-5) and steps (*/5)", f.low, f.high, f.names[0], f.names[len(f.names)-1])
	}
	if strings.ContainsAny(text, "LW#?H") && f.names == nil || strings.ContainsAny(text, "#?") {
		return "L, W, #, ? and H are of other programs: " + takes
	}
	for _, word := range wordForm.FindAllString(text, -1) {
		if !slices.Contains(f.names, strings.ToUpper(word)) {
			return fmt.Sprintf("%q is not known%s: %s", word, suggest.DidYouMean(strings.ToUpper(word), f.names), takes)
		}
	}
	if m := stepForm.FindStringSubmatch(text); m != nil {
		if step, err := strconv.Atoi(m[1]); err != nil || step == 0 || step > f.high {
			return fmt.Sprintf("a step of %s is outside of it: %s", shorten(m[1]), takes)
		}
	}
	for _, number := range numberForm.FindAllString(stepForm.ReplaceAllString(text, ""), -1) {
		if n, err := strconv.Atoi(number); err != nil || n < f.low || n > f.high {
			return fmt.Sprintf("%s is outside of it: %s", shorten(number), takes)
		}
	}
	return takes
}

// sample is how many times of a schedule are looked at for how often it comes: a day's, and more, at the most often that it may.
const sample = 400

// check refuses a schedule that never comes, or too often.
func (s *Schedule) check() error {
	first := s.spec.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Second))
	if first.IsZero() {
		return fmt.Errorf("%q never comes: no month that it names has such a day", s.expression)
	}
	for range sample {
		next := s.spec.Next(first)
		if next.IsZero() {
			break // only far apart
		}
		if next.Sub(first) < MostOften {
			return fmt.Errorf("%q comes every %s, and each time an image is built from its first step on: let at least %s be between, such as \"*/5 * * * *\"",
				s.expression, minutes(next.Sub(first)), minutes(MostOften))
		}
		first = next
	}
	return nil
}

func minutes(d time.Duration) string {
	if d == time.Minute {
		return "minute"
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}

// shorten cuts what comes from outside for an error.
func shorten(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
