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
		"null for docker":                  {`{"docker":null}`, component.KeyImage, nil, true},
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
		"a number under image":        {`{"docker":{"image":7}}`, []string{"docker/image holds a number", "kato config set --force fence"}},
		"a list key without a list":   {`{"docker":{"images":"a"}}`, []string{"docker/images holds a string, not a list", "kato config set -j --force fence docker/images"}},
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

func TestTheListIsLedByTheImage(t *testing.T) {
	const digest = "@sha256:"
	for name, c := range map[string]struct {
		before []string
		image  string
		after  []string
	}{
		"nothing there":              {nil, "a", []string{"a"}},
		"fallbacks keep their order": {[]string{"base", "old/base"}, "a", []string{"a", "base", "old/base"}},
		"the previous one is second": {[]string{"a", "base"}, "b", []string{"b", "a", "base"}},
		"a fallback comes first":     {[]string{"a", "b", "base"}, "b", []string{"b", "a", "base"}},
		"it is first already":        {[]string{"a", "b"}, "a", []string{"a", "b"}},
		"repeats leave":              {[]string{"a", "base", "a", "base"}, "b", []string{"b", "a", "base"}},
		"earlier builds leave, tags and others stay": {
			[]string{"r/app" + digest + "2", "r/app" + digest + "1", "r/app:hand", "r/other" + digest + "1", "base"},
			"r/app" + digest + "3",
			[]string{"r/app" + digest + "3", "r/app" + digest + "2", "r/app:hand", "r/other" + digest + "1", "base"},
		},
		"so do those that nodes name": {
			[]string{"fenceline.local/x/f:2", "fenceline.local/x/f:1", "fenceline.local/x/other:1", "base:1"}, "fenceline.local/x/f:3",
			[]string{"fenceline.local/x/f:3", "fenceline.local/x/f:2", "fenceline.local/x/other:1", "base:1"},
		},
		"tags of people stay": {[]string{"base:3", "base:2", "base:1"}, "base:4", []string{"base:4", "base:3", "base:2", "base:1"}},
		"back to the previous one": {
			[]string{"r/app" + digest + "2", "r/app" + digest + "1", "base"}, "r/app" + digest + "1",
			[]string{"r/app" + digest + "1", "r/app" + digest + "2", "base"},
		},
	} {
		got := component.Leading(c.before, c.image)
		if !slices.Equal(got, c.after) || len(got) > len(c.before)+1 {
			t.Errorf("%s: %v became %v, not %v", name, c.before, got, c.after)
		}
	}
}

// TestAListDoesNotGrowWithEveryFlip: ten thousand builds of one image.
func TestAListDoesNotGrowWithEveryFlip(t *testing.T) {
	images := []string{"stackato/stack-alsek", "stackato/stack/alsek"}
	for n := range 10_000 {
		images = component.Leading(images, "r/app@sha256:"+strings.Repeat("0", n%64))
	}
	if len(images) != 4 {
		t.Fatalf("the list has %d images: %v", len(images), images)
	}
}
