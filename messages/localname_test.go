package messages

import (
	"strings"
	"testing"
)

func TestLocalNames(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	longest := strings.Repeat("f", 63)
	for what, c := range map[string]struct {
		record FleetRecord
		image  string
		want   string
	}{
		"of a fleet":                      {FleetRecord{Fleet: "prod", ID: "abcdefgh"}, "r.example/app", "fenceline.local/abcdefgh/prod:" + digest[7:]},
		"of a record without an ID":       {FleetRecord{Fleet: "prod"}, "r.example/app", "fenceline.local/prod:" + digest[7:]},
		"whose registry has a port":       {FleetRecord{Fleet: "prod"}, "r.example:5000/x/app", "fenceline.local/prod:" + digest[7:]},
		"of the longest names that exist": {FleetRecord{Fleet: longest, ID: "abcdefgh"}, "r.example/" + strings.Repeat("a", 245), "fenceline.local/abcdefgh/" + longest + ":" + digest[7:]},
	} {
		image, err := NewImage(c.image, digest)
		if err != nil {
			t.Fatal(err)
		}
		got := c.record.LocalName(image)
		name, tag, _ := strings.Cut(got, ":")
		if got != c.want || CheckImageName(name) != nil || checkTag(tag) != nil || tag == "" {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
		if LocalDigest(got) != digest || !IsLocal(got) {
			t.Errorf("%s: the digest in %s is read as %q", what, got, LocalDigest(got))
		}
	}
}

func TestWhatAFenceConfigIsToHold(t *testing.T) {
	r := FleetRecord{Fleet: "prod", ID: "abcdefgh", Current: FleetImage{Image: sampleImage}}
	if r.FenceValue() != string(sampleImage) || r.ReferenceTo("") != "" {
		t.Errorf("by digest: %q, %q for none", r.FenceValue(), r.ReferenceTo(""))
	}
	r.Reference = ReferenceLocal
	if r.FenceValue() != r.LocalName(sampleImage) || r.ReferenceTo("") != "" {
		t.Errorf("by a local name: %q, %q for none", r.FenceValue(), r.ReferenceTo(""))
	}
	other := sampleImage[:len(sampleImage)-1] + "0"
	for _, value := range []string{string(sampleImage), r.LocalName(sampleImage)} {
		if !r.Names(value, sampleImage) || r.Names(value, other) || r.Names("", "") || r.Names(r.LocalRealm()+":", "") {
			t.Errorf("%q names another image", value)
		}
	}
	elsewhere := FleetRecord{Fleet: "prod", ID: "ijklmnop"}
	if r.Names(elsewhere.LocalName(sampleImage), sampleImage) {
		t.Error("another installation's local name names an image of this one")
	}
}

func FuzzLocalDigest(f *testing.F) {
	r := FleetRecord{Fleet: "prod", ID: "abcdefgh"}
	f.Add(r.LocalName(sampleImage))
	f.Add("fenceline.local/prod:0123456789abcdef")
	f.Add("fenceline.local/")
	f.Fuzz(func(t *testing.T, name string) {
		if digest := LocalDigest(name); digest != "" && (CheckDigest(digest) != nil || !IsLocal(name)) {
			t.Errorf("%q is read as %q", name, digest)
		}
	})
}
