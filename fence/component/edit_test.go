package component_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/component"
)

func TestPutChangesOneValue(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a string": {
			"{ \"big\": 12345678901234567890123.000e400 ,\n\t\"docker\" :{\"port\":4243 , \"image\" : \"a\" ,\"x\":\"\\u00e9\\/é\"}, \"docker/image\":\"a\" }\r\n",
			"{ \"big\": 12345678901234567890123.000e400 ,\n\t\"docker\" :{\"port\":4243 , \"image\" : \"new:1\" ,\"x\":\"\\u00e9\\/é\"}, \"docker/image\":\"a\" }\r\n",
		},
		"a list, whose entries stay as they are written": {`{"docker":{"images": [ "a\/b" , "c" ]}, "z":0}`, `{"docker":{"images": ["new:1","a\/b","c"]}, "z":0}`},
		"the last of two names":                          {`{"docker":{"image":"a","image":"b"}}`, `{"docker":{"image":"a","image":"new:1"}}`},
		"the last of two objects":                        {`{"docker":{"image":"a"},"docker":{"x":1}}`, `{"docker":{"image":"a"},"docker":{"x":1,"image":"new:1"}}`},
		"a list under the string's key":                  {`{"docker":{"image":["a"]}}`, `{"docker":{"image":["new:1","a"]}}`},
		"null":                                           {`{"docker":{"image":null}}`, `{"docker":{"image":"new:1"}}`},
		"null for a list":                                {`{"docker":{"images":null}}`, `{"docker":{"images":["new:1"]}}`},
		"null for docker":                                {`{"docker": null,"x":1}`, `{"docker": {"image":"new:1"},"x":1}`},
		"no docker":                                      {`{"a":1 }`, `{"a":1,"docker":{"image":"new:1"} }`},
		"nothing at all":                                 {" { }\n", " {\"docker\":{\"image\":\"new:1\"} }\n"},
		"an empty docker":                                {`{"docker":{ }}`, `{"docker":{"image":"new:1" }}`},
		"bytes that are no UTF-8 elsewhere":              {"{\"\xff\":\"\xfe\",\"docker\":{\"image\":\"a\"}}", "{\"\xff\":\"\xfe\",\"docker\":{\"image\":\"new:1\"}}"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := component.Read([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.Put("new:1")); got != tc.want {
				t.Errorf("it became\n%s\nnot\n%s", got, tc.want)
			}
		})
	}
}

// TestPutKeepsTheRest writes into documents of any shape, and reads them by the standard library: the
// image is in front, and all else is what it was, down to the byte.
func TestPutKeepsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(documents().Draw(t, "document"))
		name := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "n@sha256:1", "n@sha256:9"}), rapid.StringMatching(`[a-z0-9][A-Za-z0-9._:/@-]{0,60}`)).Draw(t, "image")
		d, err := component.Read(text)
		if err != nil {
			if strings.Contains(err.Error(), "both docker/image") {
				return
			}
			t.Fatalf("%q: %v", text, err)
		}
		checkPut(t, d, text, name)
	})
}

type failer interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

func checkPut(t failer, d *component.Document, text []byte, name string) {
	t.Helper()
	put := d.Put(name)
	after, err := component.Read(put)
	if err != nil {
		t.Fatalf("%q became %q: %v", text, put, err)
	}
	want := d.With(name)
	if after.Key != d.Key || !slices.Equal(after.Images, want) || after.Setting().Value != name {
		t.Errorf("%q became %q, which says %+v, not %v", text, put, after, want)
	}
	switch {
	case !d.List && len(d.Images) == 1: // there and back again: not a byte is another
		if back := after.Put(d.Images[0]); !bytes.Equal(back, text) {
			t.Errorf("%q became %q, and then %q", text, put, back)
		}
	case d.Images == nil && !bytes.Contains(text, []byte("[")): // something was put in, or in the place of null
		if kept, ok := strings.CutPrefix(string(text), common(text, put)); !ok || !strings.HasSuffix(string(put), strings.TrimPrefix(kept, "null")) {
			t.Errorf("%q became %q: more than one value is another", text, put)
		}
	}
	if !equalBut(text, put) {
		t.Errorf("%q became %q: another field is not what it was", text, put)
	}
}

// common is what two texts begin with.
func common(a, b []byte) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return string(a[:n])
}

// equalBut tells whether two documents are equal but for the image, number by number as it is written.
func equalBut(a, b []byte) bool {
	read := func(text []byte) string {
		var root map[string]json.RawMessage
		if json.Unmarshal(text, &root) != nil {
			return string(text)
		}
		var inner map[string]json.RawMessage
		_ = json.Unmarshal(root["docker"], &inner)
		delete(root, "docker")
		delete(inner, "image")
		delete(inner, "images")
		out, err := json.Marshal([]any{root, inner, len(inner)})
		if err != nil {
			return string(text)
		}
		return string(out)
	}
	clean := func(s string) string { return strings.Replace(s, "null,0]", "{},0]", 1) } // no docker, and an empty one
	return clean(read(a)) == clean(read(b))
}

// documents are texts of documents: names twice and escaped, numbers of any length, any whitespace.
func documents() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		inner := object(t, func() string {
			return rapid.SampledFrom([]string{
				`"port":4243`, `"image" : "a"`, `"im\u0061ge":"b"`, `"image":null`, `"images":[]`, `"images":["n@sha256:1", "a" ,"n@sha256:2","a"]`,
				`"images":null`, `"image":["a", "\u0062"]`, `"images":["\u0061","b\/c"]`, `"Image":"z"`, `"x":{"image":"q"}`,
			}).Draw(t, "member")
		})
		return space(t) + object(t, func() string {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				return `"docker"` + space(t) + ":" + inner
			case 1:
				return quote(rapid.String().Filter(func(s string) bool { return s != "docker" }).Draw(t, "name")) + ":" + number(t)
			case 2:
				return `"\u0064ocker":` + space(t) + inner
			}
			return `"docker/image":"a"`
		}) + space(t)
	})
}

func object(t *rapid.T, member func() string) string {
	var parts []string
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		parts = append(parts, space(t)+member()+space(t))
	}
	if len(parts) == 0 {
		return "{" + space(t) + "}"
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func number(t *rapid.T) string {
	return rapid.StringMatching(`-?[1-9][0-9]{0,40}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,5})?`).Draw(t, "number")
}

func space(t *rapid.T) string {
	return rapid.StringOfN(rapid.RuneFrom([]rune(" \t\r\n")), 0, 3, -1).Draw(t, "space")
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{`{}`, `{"docker":{"image":"a"}}`, `{"docker":{"images":["a","b"]}}`, `{"docker":{"images":[1]}}`, `{"docker":`, "\xef\xbb\xbf{}", `[`, `{"a":1,"a":2}`} {
		f.Add([]byte(text), "new")
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		if d, err := component.Read(text); err == nil && fence.CheckValue(name) == nil {
			checkPut(t, d, text, name)
		}
	})
}
