package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestExpressions(t *testing.T) {
	for _, expression := range []string{
		"0 3 * * 1", "*/5 * * * *", "0 0 1 1 *", "30 2 * * MON-FRI", "0 0 * * 7", "0 0 * jan,JUL sun", "0 22-2 * * *", "0,58 3 * * *",
		"@daily", "@HOURLY", "@weekly", "0 0 29 2 *", "  0   3 * * 1 ", "0 0 31 * *",
	} {
		if _, err := Parse(expression, "UTC"); err != nil {
			t.Errorf("%q: %v", expression, err)
		}
	}
}

func TestWhatIsWrongWithAnExpression(t *testing.T) {
	for expression, says := range map[string]string{
		"":                                      "five fields",
		"0 3 * *":                               "has 4 fields in place of five: minute, hour, day, month, weekday",
		"daily":                                 "one field",
		"0 0 3 * * 1":                           `perhaps "0 3 * * 1"`,
		"0 0 3 * * 1 2027":                      "has 7 fields",
		"60 * * * *":                            `the minute "60" (at character 1): 60 is outside of it: it takes 0 to 59`,
		"0 24 * * *":                            `the hour "24" (at character 3): 24 is outside`,
		"0 0 0 * *":                             `the day "0" (at character 5): 0 is outside of it: it takes 1 to 31`,
		"0 0 1 13 *":                            `the month "13" (at character 7): 13 is outside of it: it takes 1 to 12 or JAN to DEC`,
		"0 0 * * 8":                             `the weekday "8" (at character 9)`,
		"0 0 * * MOM":                           `"MOM" is not known, did you mean "MON"?`,
		"0 0 * Juli *":                          `"Juli" is not known, did you mean "JUL"?`,
		"0 0 * * Monday":                        `"Monday" is not known`,
		"*/90 * * * *":                          `a step of 90 is outside`,
		"*/0 * * * *":                           `a step of 0`,
		"5- * * * *":                            `the minute "5-" (at character 1)`,
		"1,,2 * * * *":                          `the minute "1,,2"`,
		"-5 * * * *":                            `the minute "-5"`,
		"0 0 L * *":                             "L, W, #, ? and H are of other programs",
		"0 0 * * 1#1":                           "of other programs",
		"0 0 ? * 1":                             "of other programs",
		"H 3 * * *":                             "of other programs",
		"0 0 30 2 *":                            `"0 0 30 2 *" never comes`,
		"0 0 31 4,6 *":                          "never comes",
		"* * * * *":                             "comes every minute",
		"*/2 3 * * *":                           "comes every 2 minutes",
		"0,58 * * * *":                          "comes every 2 minutes",
		"TZ=Europe/Berlin 0 3 * * *":            `write it as time_zone: Europe/Berlin, and "0 3 * * *" alone here`,
		"@every 6h":                             "no times that producers could agree on",
		"@reboot":                               "is no time",
		"@dayly":                                `did you mean "@daily"?`,
		strings.Repeat("1,", 300) + "1 * * * *": "has 609 characters",
		strings.Repeat("9", 90) + " * * * *":    "is outside of it",
		"0 0 * * " + strings.Repeat("MON,", 30): "the weekday",
	} {
		_, err := Parse(expression, "UTC")
		if err == nil {
			t.Errorf("%q is read", expression)
		} else if !strings.Contains(err.Error(), says) || len(err.Error()) > 400 || strings.Contains(err.Error(), "option") {
			t.Errorf("%q: %v", expression, err)
		}
	}
}

func TestZones(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"} {
		if err := CheckZone(name); err != nil {
			t.Error(err)
		}
	}
	for name, says := range map[string]string{
		"":               "leave it out for UTC",
		"Local":          "another zone on each machine",
		"local":          "another zone on each machine",
		"Europe/Berln":   `did you mean "Europe/Berlin"?`,
		"Berlin":         "is no time zone",
		"europe/berlin":  `is written "Europe/Berlin"`,
		"utc":            `is written "UTC"`,
		"CEST":           "is no time zone",
		"UTC+2":          "is no time zone",
		"../etc/passwd":  "is no time zone",
		"/etc/localtime": "is no time zone",
	} {
		if err := CheckZone(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, expression := range []string{"0 3 * * 1", "*/5 * * * *", "@daily", "1-5/2,7 22-2 1,L * MON#1", "TZ=UTC * * * * *", "H H(1-3) * * *", "5-1/7 0-23/5 31 2 *"} {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		s, err := Parse(expression, "Europe/Berlin")
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		at := time.Date(2027, 3, 28, 0, 0, 0, 0, time.UTC)
		for range 50 {
			next := s.Next(at)
			if !next.After(at) {
				t.Fatalf("%q: after %s comes %s", expression, at, next)
			}
			at = next
		}
	})
}
