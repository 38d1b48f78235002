package messages

import (
	"encoding/json"
	"testing"
)

// TestBasesAndMovingTagsAreInTheirWireForm: the goldens of their messages are from before there were any.
func TestBasesAndMovingTagsAreInTheirWireForm(t *testing.T) {
	for want, v := range map[string]any{
		`{"source":"docker.io/library/debian:12","image":"","fixed":true}`:                                    PinnedBase{Source: "docker.io/library/debian:12", Fixed: true},
		`{"build":"","pipeline":"","attempt":0,"bases":null,"unfetched":[{"source":"debian:12","image":""}]}`: BasePinned{Unfetched: []PinnedBase{{Source: "debian:12"}}},
		`{"source":"docker.io/library/debian:12","digest":"sha256:1","looker":"a"}`:                           BaseLook{Source: "docker.io/library/debian:12", Digest: "sha256:1", Looker: "a"},
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	for _, v := range []any{&Pipeline{MovingTag: "latest"}, &ImageReady{MovingTag: "latest"}} {
		var fields map[string]any
		b, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(b, &fields)
		}
		if err != nil || fields["moving_tag"] != "latest" {
			t.Errorf("%s, %v", b, err)
		}
	}
}

func TestWhichBasesCanChange(t *testing.T) {
	for source, want := range map[string]string{
		"docker.io/library/debian:12": "docker.io/library/debian", "h:5000/a/b:latest": "h:5000/a/b", "h:5000/a/b": "", "": "", "x": "",
	} {
		b := PinnedBase{Source: source}
		if got, ok := b.Tagged(); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", source, got, ok)
		}
		b.Fixed = true
		if _, ok := b.Tagged(); ok {
			t.Errorf("%q is fixed, and can change", source)
		}
	}
}
