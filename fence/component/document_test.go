package component_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/component"
)

func TestRead(t *testing.T) {
	for name, tc := range map[string]struct {
		text   string
		key    string
		images []string
		unset  bool
	}{
		"a string":                         {`{"docker":{"image":"a"}}`, component.KeyImage, []string{"a"}, false},
		"a list":                           {`{"docker":{"images":["a","b"]}}`, component.KeyImages, []string{"a", "b"}, false},
		"a list under the string's key":    {`{"docker":{"image":["a","b"]}}`, component.KeyImage, []string{"a", "b"}, false},
		"null beside a list":               {`{"docker":{"images":["a"],"image":null}}`, component.KeyImages, []string{"a"}, false},
		"an empty list":                    {`{"docker":{"images":[]}}`, component.KeyImages, nil, true},
		"an empty string":                  {`{"docker":{"image":""}}`, component.KeyImage, []string{""}, true},
		"nothing":                          {`{}`, component.KeyImage, nil, true},
		"an object without an image":       {"\n{ \"docker\" : { } }\n", component.KeyImage, nil, true},
		"null":                             {`{"docker":{"image":null}}`, component.KeyImage, nil, true},
		"null for a list":                  {`{"docker":{"images":null}}`, component.KeyImages, nil, true},
		"null for a list beside a string":  {`{"docker":{"images":null,"image":"a"}}`, component.KeyImage, []string{"a"}, false},
		"a name twice: the last":           {`{"docker":{"image":"a","image":"b"}}`, component.KeyImage, []string{"b"}, false},
		"an object twice: the last":        {`{"docker":{"image":"a"},"docker":{}}`, component.KeyImage, nil, true},
		"a name written in another way":    {`{"d\u006fcker":{"im\u0061ge":"\u0061"}}`, component.KeyImage, []string{"a"}, false},
		"the path as a name":               {`{"docker/image":"a","docker.image":"b","Docker":{"image":"c"}}`, component.KeyImage, nil, true},
		"numbers that no float can hold":   {`{"n":123456789012345678901234567890.50e99999,"docker":{"image":"a"}}`, component.KeyImage, []string{"a"}, false},
		"other names that are not UTF-8":   {"{\"\xff\":\"\xff\",\"docker\":{\"image\":\"a\"}}", component.KeyImage, []string{"a"}, false},
		"an image in another place inside": {`{"docker":{"x":{"image":"a"}}}`, component.KeyImage, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := component.Read([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if d.Key != tc.key || !slices.Equal(d.Images, tc.images) {
				t.Errorf("it says %+v", d)
			}
			if s := d.Setting(); (s == fence.Setting{}) != tc.unset || !tc.unset && s.Revision == "" || len(tc.images) > 0 && s.Value != tc.images[0] {
				t.Errorf("its setting is %+v", s)
			}
		})
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		says []string
	}{
		"an empty text":               {" \n", []string{"empty", "kato config set"}},
		"no JSON":                     {`{"docker":{"image":"a",}}`, []string{"not JSON", "byte 24"}},
		"two documents":               {`{}{}`, []string{"not JSON"}},
		"a byte order mark":           {"\xef\xbb\xbf{}", []string{"byte order mark"}},
		"a list as document":          {`[]`, []string{"a list", "object"}},
		"YAML":                        {"docker:\n  image: a\n", []string{"not JSON"}},
		"a string where docker is":    {`{"docker":"a"}`, []string{"docker holds a string", "kato config del"}},
		"both keys":                   {`{"docker":{"image":"a","images":["b"]}}`, []string{"both docker/image and docker/images", "kato config del fence"}},
		"an empty name in a list":     {`{"docker":{"image":["a",""]}}`, []string{"docker/image holds an empty string as its number 2"}},
		"a number under image":        {`{"docker":{"image":7}}`, []string{"docker/image holds a number"}},
		"a list key without a list":   {`{"docker":{"images":"a"}}`, []string{"docker/images holds a string, not a list", "kato config set -j fence docker/images"}},
		"a list with a number":        {`{"docker":{"images":["a",7]}}`, []string{"a number as its number 2"}},
		"a name that is no UTF-8":     {"{\"docker\":{\"image\":\"\xff\"}}", []string{"no UTF-8"}},
		"words":                       {`{"docker":{"image":"two words"}}`, []string{"under the key docker/image", "not the name of an image"}},
		"deeper than any reader goes": {`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, []string{"not JSON"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := component.Read([]byte(tc.text))
			if err == nil {
				t.Fatal("it was read")
			}
			for _, word := range tc.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not say %q", err, word)
				}
			}
		})
	}
}

func TestRevisionIsTheSettingsOwn(t *testing.T) {
	read := func(text string) fence.Revision {
		d, err := component.Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d.Setting().Revision
	}
	first := read(`{"docker":{"image":"a"}}`)
	if read(`{"x":1, "docker": {"image": "\u0061", "other": true}}`) != first {
		t.Error("another field moved it")
	}
	seen := map[fence.Revision]string{first: "the string"}
	for _, other := range []string{`{"docker":{"image":"b"}}`, `{"docker":{"image":["a"]}}`, `{"docker":{"images":["a"]}}`, `{"docker":{"images":["a","b"]}}`, `{}`} {
		r := read(other)
		if before, ok := seen[r]; ok {
			t.Errorf("%s has the revision of %s", other, before)
		}
		seen[r] = other
	}
}

func TestListRule(t *testing.T) {
	d := func(n string) string { return "core:49153/newimg@sha256:" + strings.Repeat(n, 64) }
	for name, tc := range map[string]struct {
		images []string
		image  string
		want   []string
	}{
		"in front of what was there":                 {[]string{"alsek", "b"}, d("1"), []string{d("1"), "alsek", "b"}},
		"into an empty list":                         {nil, d("1"), []string{d("1")}},
		"what is in front already":                   {[]string{d("1"), "alsek"}, d("1"), []string{d("1"), "alsek"}},
		"what is further behind":                     {[]string{d("2"), "alsek", d("1")}, d("1"), []string{d("1"), d("2"), "alsek"}},
		"repeats are dropped":                        {[]string{"alsek", "b", "alsek", d("1"), "b"}, d("1"), []string{d("1"), "alsek", "b"}},
		"the oldest of our own are dropped":          {[]string{d("4"), d("3"), "alsek", d("2"), d("1"), "b"}, d("5"), []string{d("5"), d("4"), d("3"), "alsek", d("2"), "b"}},
		"tags are nobody's of ours, and never go":    {[]string{"n:1", "n:2", "n:3", "n:4", "n:5"}, "n:6", []string{"n:6", "n:1", "n:2", "n:3", "n:4", "n:5"}},
		"another repository's by digest never go":    {[]string{"o@sha256:1", "o@sha256:2", "o@sha256:3", "o@sha256:4", "o@sha256:5"}, d("1"), []string{d("1"), "o@sha256:1", "o@sha256:2", "o@sha256:3", "o@sha256:4", "o@sha256:5"}},
		"the repository's tags stay beside a digest": {[]string{"core:49153/newimg:1.0.0"}, d("1"), []string{d("1"), "core:49153/newimg:1.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&component.Document{Key: component.KeyImages, List: true, Images: tc.images}).With(tc.image)
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v becomes %v, not %v", tc.images, got, tc.want)
			}
		})
	}
	if got := (&component.Document{Key: component.KeyImage, Images: []string{"a"}}).With("b"); !slices.Equal(got, []string{"b"}) {
		t.Errorf("a string becomes %v", got)
	}
}
