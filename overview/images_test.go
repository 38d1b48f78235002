package overview

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func imageNumber(n string) messages.Image {
	return messages.Image("registry.example.com/base@sha256:" + strings.Repeat(n, 64))
}

func TestWhatAWordMeans(t *testing.T) {
	made := func(order uint64, pipeline, ref string) *messages.ImageReady {
		n := string(rune('0' + order))
		return &messages.ImageReady{BuildRef: messages.BuildRef{Build: pipeline + "-" + strings.Repeat(n, 8), Pipeline: pipeline, Order: order}, Ref: ref, Image: imageNumber(n), HooksDir: "/h" + n}
	}
	i := &Images{
		Made: []*messages.ImageReady{made(5, "base", "refs/heads/main"), made(4, "base", "refs/heads/next"), made(3, "other", "refs/heads/main"), made(2, "base", "refs/heads/main")},
		Fleets: map[string]messages.FleetRecord{
			"production": {Fleet: "production", Current: messages.FleetImage{Image: imageNumber("5")}, Previous: messages.FleetImage{Image: imageNumber("a")}, Keep: []messages.FleetImage{{Image: imageNumber("b")}}},
			"empty":      {Fleet: "empty"},
		},
	}
	for word, want := range map[string]struct{ image, before string }{
		"production":              {"5", "a"},
		"production~1":            {"a", ""},
		"base-55555555":           {"5", "2"},
		"base-5555":               {"5", "2"},
		"base-44444444":           {"4", ""},
		"base-22222222":           {"2", ""},
		string(imageNumber("b")):  {"b", ""},
		imageNumber("5").Digest(): {"5", "2"},
		"sha256:3333":             {"3", ""},
		"aaaa":                    {"a", ""},
		"SHA256:BBBB":             {"b", ""},
	} {
		k, err := i.Find(word)
		if err != nil || k.Image != imageNumber(want.image) || k.Is == "" {
			t.Errorf("%s is %s (%s), %v", word, k.Image, k.Is, err)
		}
		before, err := i.Before(k)
		if (err == nil) != (want.before != "") || err == nil && before.Image != imageNumber(want.before) {
			t.Errorf("before %s is %s, %v", word, before.Image, err)
		}
	}
	for word, says := range map[string]string{
		"": "know no image", "bas": "know no image", "base-": "can be any of base-22222222, base-44444444, base-55555555", "empty": "has no image yet", "empty~1": "has had no image before", "none~1": `no fleet "none"`,
		"sha256:" + strings.Repeat("9", 64): "know no image", "prodction": `did you mean "production"?`, strings.Repeat("x", 10_000): "know no image",
	} {
		if k, err := i.Find(word); err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 1000 {
			t.Errorf("%.100s is %+v, %.1000v", word, k, err)
		}
	}
}
