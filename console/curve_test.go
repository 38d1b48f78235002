package console

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func TestPicturesOfCurves(t *testing.T) {
	from := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	points := func(n int) (out []messages.CurvePoint) {
		for i := range n {
			out = append(out, messages.CurvePoint{At: from.Add(time.Duration(i) * time.Minute), Present: i, Applied: i / 2, Applying: n})
		}
		return out
	}
	for name, v := range map[string]*curveView{
		"many points":              {Points: points(60), Members: 60, Needed: 48, Flipped: from.Add(50 * time.Minute)},
		"one point":                {Points: points(1), Members: 3, Needed: 1},
		"two at the same moment":   {Points: append(points(1), points(1)...), Members: 3, Needed: 1, Flipped: from},
		"no members":               {Points: points(2)},
		"more than members by now": {Points: points(10), Members: 2, Needed: 1},
		"flipped after the last":   {Points: points(3), Members: 3, Needed: 2, Flipped: from.Add(time.Hour)},
		"flipped before the first": {Points: points(3), Members: 3, Needed: 2, Flipped: from.Add(-time.Hour)},
	} {
		picture := string(v.Picture())
		if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") || strings.Contains(picture, "-") && strings.Contains(picture, `="-`) {
			t.Errorf("%s: it draws outside: %s", name, picture)
		}
		for d := xml.NewDecoder(strings.NewReader(picture)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v in %s", name, err, picture)
			}
		}
		if !strings.Contains(picture, "<title") || !strings.Contains(picture, "<desc") {
			t.Errorf("%s: it says nothing in words", name)
		}
	}
	v := &curveView{Points: points(60), Members: 60, Needed: 48}
	if got := v.Describe(); got != "Over 59 min the number of members that had the image went from 0 to 59 of 60; 48 must have it. In the end 29 of the 60 that say so had applied it." {
		t.Errorf("it says %q", got)
	}
	for d, want := range map[time.Duration]string{0: "0 ms", 90 * time.Second: "90 s", 10 * time.Minute: "10 min", 30 * time.Hour: "30 h", 100 * time.Hour: "4 days"} {
		if got := roughly(d); got != want {
			t.Errorf("%s is %q", d, got)
		}
	}
}
