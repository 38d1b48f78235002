package distributor

import (
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// localHost is the host part of local tags. No registry answers to it, and nobody else
// tags with it: what carries it was tagged by an agent.
const localHost = "fenceline.local"

// LocalTag is the name under which a fleet's nodes keep an image, so that a prune can't take it.
// It has the fleet's ID, so that installations that share an engine leave each other's alone.
func LocalTag(r *messages.FleetRecord, image messages.Image) string {
	return localName(r) + ":" + shortDigest(image.Digest())
}

// localName is what the local tags of a fleet begin with.
func localName(r *messages.FleetRecord) string {
	if r.ID == "" {
		return localHost + "/" + r.Fleet
	}
	return localHost + "/" + r.ID + "/" + r.Fleet
}

// IsLocal tells whether a name is under the host of local tags.
func IsLocal(name string) bool { return strings.HasPrefix(name, localHost+"/") }

// ControlTag is the name of an image that an engine is tried with for a moment.
func ControlTag(key string) string { return localHost + "/control:" + key }

// shortDigest is the first 16 hexadecimal digits of a digest.
func shortDigest(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return hex[:min(16, len(hex))]
}
