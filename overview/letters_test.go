package overview

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func TestTheContentOfALetter(t *testing.T) {
	const most = 100
	for name, test := range map[string]struct {
		body   string
		text   string
		binary bool
		more   int
	}{
		"JSON, by lines":              {`{"a":{"b":1}}`, "{\n  \"a\": {\n    \"b\": 1\n  }\n}", false, 0},
		"text":                        {"not JSON", "not JSON", false, 0},
		"bytes":                       {"\xff\xfe\x00abc", "ff fe 00 61 62 63", true, 0},
		"more bytes than are shown":   {"\xff" + strings.Repeat("x", 200), "ff 78", true, 201 - most/8},
		"more text than is shown":     {strings.Repeat("y", 150), strings.Repeat("y", most), false, 50},
		"characters that aren't cut":  {strings.Repeat("é", 75), strings.Repeat("é", 50), false, 50},
		"a character on the boundary": {"a" + strings.Repeat("é", 75), "a" + strings.Repeat("é", 49), false, 52},
		"nothing":                     {"", "", false, 0},
	} {
		l := NewLetter(messages.DeadLetter{Stream: "s", Sequence: 1, Body: []byte(test.body)})
		got := l.Content(most)
		if !strings.Contains(got.Text, test.text) || got.Binary != test.binary || got.More != test.more {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
