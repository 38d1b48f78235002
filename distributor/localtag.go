package distributor

import (
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// ControlTag is the name of an image that an engine is tried with for a moment.
func ControlTag(key string) string { return messages.LocalHost + "/control:" + key }

// digestOf is the digest of the image that an agent tagged so, or its first digits, as agents before
// had them in their tags; "" where it is no agent's tag.
func digestOf(tag string) string {
	if realm := realmOf(tag); realm != "" {
		return "sha256:" + tag[len(realm)+1:]
	}
	return ""
}

// tagged tells whether a tag of an agent is one of this image.
func tagged(tag string, image messages.Image) bool {
	digits := digestOf(tag)
	return len(digits) >= len("sha256:")+16 && strings.HasPrefix(image.Digest(), digits)
}
