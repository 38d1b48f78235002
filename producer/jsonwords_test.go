package producer

import "testing"

// TestKindsOfFieldsAreInJSONsWords, not in Go's.
func TestKindsOfFieldsAreInJSONsWords(t *testing.T) {
	var to struct {
		Object struct{} `json:"object"`
		Maybe  *struct{ A int }
		List   []string `json:"list"`
		Yes    bool     `json:"yes"`
		Text   string   `json:"text"`
		Number int      `json:"number"`
	}
	for body, want := range map[string]string{
		`{"object": 1}`:   "object: is a JSON number where an object was expected",
		`{"Maybe": true}`: "Maybe: is a JSON bool where an object was expected",
		`{"list": {}}`:    "list: is a JSON object where an array was expected",
		`{"yes": "x"}`:    "yes: is a JSON string where true or false was expected",
		`{"text": []}`:    "text: is a JSON array where a string was expected",
		`{"number": "x"}`: "number: is a JSON string where a number was expected",
	} {
		if err := decode([]byte(body), &to); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
