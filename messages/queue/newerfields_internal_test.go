package queue

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestWhatIsKeptOfANewerRecord(t *testing.T) {
	for name, c := range map[string]struct{ was, known, next, want string }{
		"a field of the whole":                 {`{"a":1,"new":{"x":12345678901234567890}}`, `{"a":1}`, `{"a":2}`, `{"a":2,"new":{"x":12345678901234567890}}`},
		"one that is known, and was taken out": {`{"a":1,"b":2,"new":3}`, `{"a":1,"b":2}`, `{"a":1}`, `{"a":1,"new":3}`},
		"in a part that stays":                 {`{"a":{"b":1,"new":2},"c":1}`, `{"a":{"b":1},"c":1}`, `{"a":{"b":1},"c":2}`, `{"a":{"b":1,"new":2},"c":2}`},
		"in a part that was written anew":      {`{"a":{"b":1,"new":2}}`, `{"a":{"b":1}}`, `{"a":{"b":2}}`, `{"a":{"b":2}}`},
		"in a part of such a part":             {`{"a":{"b":1,"d":{"e":1,"new":2}}}`, `{"a":{"b":1,"d":{"e":1}}}`, `{"a":{"b":2,"d":{"e":1}}}`, `{"a":{"b":2,"d":{"e":1,"new":2}}}`},
		"in a part of one about another image": {`{"a":{"image":"x","d":{"e":1,"new":2}}}`, `{"a":{"image":"x","d":{"e":1}}}`, `{"a":{"image":"y","d":{"e":1}}}`, `{"a":{"image":"y","d":{"e":1}}}`},
		"in a part of one about none before":   {`{"a":{"d":{"e":1,"new":2}}}`, `{"a":{"d":{"e":1}}}`, `{"a":{"rollout":"y","d":{"e":1}}}`, `{"a":{"rollout":"y","d":{"e":1}}}`},
		"in a list, of what stays":             {`{"a":[{"b":1,"new":1},{"b":2,"new":2}]}`, `{"a":[{"b":1},{"b":2}]}`, `{"a":[{"b":3},{"b":1}]}`, `{"a":[{"b":3},{"b":1,"new":1}]}`},
		"a list that is gone":                  {`{"a":[1],"new":1}`, `{"a":[1]}`, `{}`, `{"new":1}`},
		"a known field in other letters":       {`{"A":1,"new":1}`, `{"a":1}`, `{"a":2}`, `{"a":2,"new":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := keepFields([]byte(c.was), []byte(c.known), []byte(c.next))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("it is %s, want %s", got, c.want)
			}
		})
	}
}

// FuzzKeepFields: what this program writes is what is read back, whatever the record had before.
func FuzzKeepFields(f *testing.F) {
	type part struct {
		B int    `json:"b"`
		C string `json:"c,omitempty"`
	}
	type record struct {
		A int             `json:"a"`
		P *part           `json:"p,omitempty"`
		L []part          `json:"l,omitempty"`
		M map[string]part `json:"m,omitempty"`
	}
	f.Add([]byte(`{"a":1,"new":2,"p":{"b":1,"new":[]},"l":[{"b":1,"new":0}],"m":{"x":{"b":1,"c":"d","new":null}}}`), []byte(`{"a":2,"p":{"b":1},"l":[{"b":1},{"b":2}],"m":{"x":{"b":2}}}`))
	f.Add([]byte(`{"A":1,"new":2}`), []byte(`{"a":2}`))
	f.Fuzz(func(t *testing.T, was, next []byte) {
		var w, n record
		if _, err := decodeJSON(was, &w); err != nil {
			return
		}
		if _, err := decodeJSON(next, &n); err != nil {
			return
		}
		known, _ := json.Marshal(w)
		body, _ := json.Marshal(n)
		kept, err := keepFields(was, known, body)
		if err != nil {
			return // null is no object
		}
		var got record
		if _, err := decodeJSON(kept, &got); err != nil {
			t.Fatalf("%s over %s is %s: %v", body, was, kept, err)
		}
		again, _ := json.Marshal(got)
		var a, b any
		_, _ = json.Unmarshal(again, &a), json.Unmarshal(body, &b)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%s over %s is %s, and reads back as %s", body, was, kept, again)
		}
	})
}
