package messages

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

func TestImageNameFollowsTheSpecification(t *testing.T) {
	// The specification's own pattern for a name, and a host before it.
	form := regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	name := rapid.StringMatching(`[ab0._:/A-]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		if s := name.Draw(t, "name"); imageName(s) != form.MatchString(s) {
			t.Fatalf("%q: %v", s, imageName(s))
		}
	})
}

func TestImageParts(t *testing.T) {
	if sampleImage.Name() != "registry.example.com:5000/exampleco/newimg" || sampleImage.Digest() != sampleDigest {
		t.Errorf("got %q and %q", sampleImage.Name(), sampleImage.Digest())
	}
	if n, err := NewImage(sampleImage.Name(), sampleImage.Digest()); err != nil || n != sampleImage {
		t.Errorf("got %q, %v", n, err)
	}
	if z := Image(""); z.Name() != "" || z.Digest() != "" {
		t.Error("the zero image names something")
	}
}
