package messages

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// TestProgressOfAVertexIsOptional: what tells of none is as it was, and what has it decodes as it was sent.
func TestProgressOfAVertexIsOptional(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := BuildLog{BuildRef: BuildRef{Build: "b", Pipeline: "p"}, Attempt: 1, Vertex: "v", Text: "t"}
	for want, p := range map[string]*VertexProgress{
		`{"build":"b","pipeline":"p","attempt":1,"vertex":"v","text":"t"}`:                                            nil,
		`{"build":"b","pipeline":"p","attempt":1,"vertex":"v","text":"t","progress":{"id":"sha256:1","output":true}}`: {ID: "sha256:1", Output: true},
		`{"build":"b","pipeline":"p","attempt":1,"vertex":"v","text":"t","progress":{"id":"1","started":"2026-01-02T03:04:05Z","cached":true,"parts":[{"name":"l","current":1,"total":2}]}}`: {
			ID: "1", Started: at, Cached: true, Parts: []VertexPart{{Name: "l", Current: 1, Total: 2}},
		},
	} {
		l.Progress = p
		b, err := json.Marshal(l)
		if err != nil || string(b) != want {
			t.Errorf("%s, %v, want %s", b, err, want)
		}
		var got BuildLog
		if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("%+v, %v, want %+v", got, err, l)
		}
	}
}
