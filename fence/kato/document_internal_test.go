package kato

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence"
	stackato "github.com/fenceline/fenceline/fence/component"
)

func TestBadAnswersAreExplained(t *testing.T) {
	for name, c := range map[string]struct{ printed, says string }{
		"nothing":                {"", "printed nothing"},
		"warnings alone":         {"WARNING: Assumed type string\n", "printed nothing"},
		"garbage":                {"\x1b[31mSegmentation fault\x07", `begins with "\x1b[31mSegmentation fault\a"`},
		"YAML":                   {"docker:\n  image: a\n", "no JSON document"},
		"YAML with a password":   {"mbus: nats://user:secret@10.0.0.1\n", "no JSON document"},
		"no UTF-8":               {"{\"docker\": {\"image\": \"\xff\xfe\"}}", "UTF-8"},
		"a cut document":         {`{"docker": {"image": "a`, "no JSON document"},
		"two documents":          {`{"docker": {"image": "a"}} {}`, "something follows"},
		"a list":                 {`["a"]`, "no JSON document"},
		"another component":      {`{"mbus": "nats://user:secret@h", "base_dir": "/", "x": 1, "y": 2, "z": 3}`, `another component: there is no "docker" in it, but "base_dir", "mbus", "x", "y"`},
		"every component":        {`{"fence": {"docker": {"image": "a"}}, "dea_ng": {}}`, "another component"},
		"docker as a string":     {`{"docker": "secret"}`, "the key docker holds a string"},
		"both keys":              {`{"docker": {"image": "a", "images": ["b"]}}`, "kato config del fence docker/image"},
		"a list that is none":    {`{"docker": {"images": "a"}}`, "docker/images holds a string, not a list: `kato config set -j --force fence docker/images"},
		"a number for the list":  {`{"docker": {"images": 1.5e3}}`, "docker/images holds a number"},
		"a number in the list":   {`{"docker": {"images": ["a", 7]}}`, "docker/images holds a number as its number 2"},
		"nothing in the list":    {`{"docker": {"images": ["a", ""]}}`, "an empty string as its number 2"},
		"null in the list":       {`{"docker": {"images": [null]}}`, "null as its number 1"},
		"an object as the image": {`{"docker": {"image": {"a": "secret"}}}`, "docker/image holds an object, not the name of an image: `kato config set --force fence docker/image"},
		"control characters":     {`{"docker": {"image": "a\u0000\u001b[2Jb"}}`, `"a\x00\x1b[2Jb"`},
		"a line break":           {`{"docker": {"images": ["a\nb"]}}`, `"a\nb"`},
		"an option":              {`{"docker": {"image": "--force"}}`, `"--force"`},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := parse([]byte(c.printed))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v does not say %q (%+v)", err, c.says, d)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestWhatIsNotSetIsEmpty(t *testing.T) {
	for _, printed := range []string{
		`{}`, `null`, `{"docker": {}}`, `{"docker": null}`, `{"docker": {"image": null}}`, `{"docker": {"image": ""}}`, `{"docker": {"images": []}}`, `{"docker": {"images": null}}`,
	} {
		d, err := parse([]byte(printed))
		if err != nil || d.Setting() != (fence.Setting{}) {
			t.Errorf("%s is read as %+v, error %v", printed, d.Setting(), err)
		}
	}
}

// TestTheKeyThatHoldsNothingDoesNotCount: what fence reads is under the other.
func TestTheKeyThatHoldsNothingDoesNotCount(t *testing.T) {
	for _, printed := range []string{`{"docker": {"image": null, "images": ["a", "b"]}}`, `{"docker": {"image": "a", "images": null}}`} {
		d, err := parse([]byte(printed))
		if err != nil || d.Setting().Value != "a" {
			t.Errorf("%s is read as %+v, error %v", printed, d, err)
		}
	}
}

// TestRevisionsTellStatesApart: another image, another fallback, another key, another type.
func TestRevisionsTellStatesApart(t *testing.T) {
	seen := map[fence.Revision]string{}
	for _, printed := range []string{
		`{"docker": {"image": "a"}}`, `{"docker": {"image": "b"}}`, `{"docker": {"image": ["a"]}}`, `{"docker": {"images": ["a"]}}`,
		`{"docker": {"images": ["a", "b"]}}`, `{"docker": {"images": ["a", "c"]}}`, `{"docker": {"images": ["a", "b", "c"]}}`,
	} {
		d, err := parse([]byte(printed))
		if err != nil {
			t.Fatal(err)
		}
		r := d.Setting().Revision
		if other, ok := seen[r]; ok {
			t.Errorf("%s and %s have one revision", printed, other)
		}
		seen[r] = printed
	}
	d, err := parse([]byte("{\"other\": 1,\n \"docker\": {\"x\": 2, \"image\":\t\"a\"}}"))
	if err != nil || seen[d.Setting().Revision] != `{"docker": {"image": "a"}}` {
		t.Errorf("the revision depends on more than the setting: %+v, error %v", d, err)
	}
}

// FuzzAnswer: whatever kato prints gives an error or a setting that can be set again.
func FuzzAnswer(f *testing.F) {
	for _, printed := range []string{
		`{"docker": {"image": "a"}}`, "WARNING: x\n{\"docker\": {\"images\": [\"a\", \"b\"]}}\nWARNING: y", `{"docker": {"images": []}}`, `{}`, "", "[sudo] password for stackato: ",
	} {
		f.Add([]byte(printed))
	}
	f.Fuzz(func(t *testing.T, printed []byte) {
		d, err := parse(printed)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		s := d.Setting()
		if (s.Value == "") != (s.Revision == "") {
			t.Errorf("%q is read as %+v", printed, s)
		}
		if s.Value != "" && fence.CheckValue(s.Value) != nil {
			t.Errorf("%q is read as the image %q", printed, s.Value)
		}
		args, err := naming(d, "r/app@sha256:1")
		if err != nil || !strings.HasPrefix(strings.Join(args, " "), "config set ") {
			t.Errorf("%q can't be set: %v, error %v", printed, args, err)
		}
		if list := stackato.Leading(d.Images, "r/app@sha256:1"); d.List && len(list) > len(d.Images)+1 {
			t.Errorf("%v became %v", d.Images, list)
		}
	})
}
