package producer

import (
	"encoding/json"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// files are names of files as a payload lists them.
func files(names ...string) fileLists {
	raw, _ := json.Marshal(names)
	return fileLists{{raw}}
}

func TestListsOfTexts(t *testing.T) {
	for in, want := range map[string][]string{
		`["a","b/c"]`: {"a", "b/c"}, `[]`: nil, ` [ "a" , "b" ] `: {"a", "b"}, `["a\"],[\\","\u00e9"]`: {`a"],[\`, "é"}, `[""]`: {""}, `null`: nil, "[\"\xff\"]": {"\ufffd"},
	} {
		var l struct{ L textList }
		if err := json.Unmarshal([]byte(`{"L":`+in+`}`), &l); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if got := slices.Collect(l.L.all()); !slices.Equal(got, want) {
			t.Errorf("%s is %q; want %q", in, got, want)
		}
		if l.L.given() != (in != "null") {
			t.Errorf("%s: given is %v", in, l.L.given())
		}
	}
	for in, want := range map[string]string{
		`{"commits":[{"added":["a",1]}]}`: "commits.added: is a JSON number where a string", `{"commits":[{"added":"a"}]}`: "commits.added: is a JSON string where an array",
		`{"commits":[{"added":[["a"]]}]}`: "commits.added: is a JSON array where a string", `{"commits":[{"added":[null]}]}`: "is a JSON null",
	} {
		if _, err := readPush([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", in, err, want)
		}
	}
}

// TestAPayloadOfManyTextsIsBounded has the largest bodies that there are, of the shortest strings.
func TestAPayloadOfManyTextsIsBounded(t *testing.T) {
	many := `[` + strings.Repeat(`"a",`, maxHookBytes/4-100) + `"b"]`
	for name, c := range map[string]struct {
		forge forge
		body  string
	}{
		"files": {github{}, `{"ref":"refs/heads/main","commits":[{"added":` + many + `}]}`},
		"paths": {generic{}, `{"repository":"https://git.example.com/base.git","ref":"refs/heads/main","paths":` + many + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(c.body)
			most := uint64(len(body)) / 10 * 9 // a copy takes more, strings several times as much
			took, err := uint64(math.MaxUint64), error(nil)
			for try := 0; try < 3 && took > most; try++ { // what earlier tests left running allocates, too
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err = c.forge.read(map[string][]string{"X-Github-Event": {"push"}}, body)
				runtime.ReadMemStats(&after)
				took = min(took, after.TotalAlloc-before.TotalAlloc)
			}
			if took > most {
				t.Errorf("reading %d bytes takes %d: %v", len(body), took, err)
			}
		})
	}
}

func FuzzTextList(f *testing.F) {
	f.Add(`["a","\\u0000\\""]`)
	f.Fuzz(func(t *testing.T, in string) {
		var want []string
		var got textList
		strict := json.Unmarshal([]byte(in), &want)
		if err := json.Unmarshal([]byte(in), &got); err == nil && strict == nil && !slices.Equal(slices.Collect(got.all()), want) {
			t.Errorf("%q is %q; want %q", in, slices.Collect(got.all()), want)
		}
	})
}
