package messages

import "strings"

// LocalHost is the host part of the names under which nodes keep images. No registry answers to it, so
// that no engine fetches anything else under such a name, and nobody else names images with it.
const LocalHost = "fenceline.local"

// Reference is the form in which a fence config names an image.
type Reference string

// The forms of references.
const (
	// ReferenceDigest is name@sha256:…, the default.
	ReferenceDigest Reference = "digest"
	// ReferenceLocal is the local name under which the fleet's nodes keep the image, for software that
	// takes no digest in a name.
	ReferenceLocal Reference = "local"
)

// References lists the forms.
var References = []Reference{ReferenceDigest, ReferenceLocal}

// LocalRealm is what the local names of a fleet's images begin with. It has the record's ID, so that
// installations that share an engine leave each other's alone.
func (r *FleetRecord) LocalRealm() string {
	if r.ID == "" {
		return LocalHost + "/" + r.Fleet
	}
	return LocalHost + "/" + r.ID + "/" + r.Fleet
}

// LocalName is the name under which the fleet's nodes keep an image: a tag, so that no prune of untagged
// images takes it. It has the whole digest: who makes two images that begin with the same digits could
// else put one in the other's place. A build has a name of its own as its image has; builds of one
// digest are one image.
func (r *FleetRecord) LocalName(i Image) string {
	return r.LocalRealm() + ":" + strings.TrimPrefix(i.Digest(), "sha256:")
}

// ReferenceTo is an image as the fleet's fence config names it; "" for none.
func (r *FleetRecord) ReferenceTo(i Image) string {
	if i == "" || r.Reference != ReferenceLocal {
		return string(i)
	}
	return r.LocalName(i)
}

// FenceValue is what the fleet's fence config is to hold: the current image in the fleet's form, or "".
func (r *FleetRecord) FenceValue() string { return r.ReferenceTo(r.Current.Image) }

// Names tells whether a value of a fence config names an image, in whichever form.
func (r *FleetRecord) Names(value string, i Image) bool {
	return i != "" && (value == string(i) || value == r.LocalName(i))
}

// IsLocal tells whether a name is under the host of local names.
func IsLocal(name string) bool { return strings.HasPrefix(name, LocalHost+"/") }

// LocalDigest is the digest of the image that a local name is of, sha256:…; "" where it is no local name.
func LocalDigest(name string) string {
	_, hex, ok := strings.Cut(name, ":")
	if !ok || !IsLocal(name) || !hexadecimal(hex, 64) {
		return ""
	}
	return "sha256:" + hex
}
