package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// BaseLook is what a producer saw last of a base image at its registry, in the triggers bucket under its BaseKey.
type BaseLook struct {
	Source string `json:"source"`           // as pins have it: the name, with its tag
	Digest string `json:"digest,omitempty"` // that it named when it was seen last; "" where it never was
	Looker string `json:"looker"`           // random, to recognise an own write whose answer was lost
	// Looking is set while a producer looks, so that no other does.
	Looking bool `json:"looking,omitempty"`
	// Wanted is set while a push is told of that nobody has looked at.
	Wanted bool `json:"wanted,omitempty"`
	// Problem is why it could not be seen, Failures how often in a row, Since since when, and Again when it is asked again, for
	// people.
	Problem  string    `json:"problem,omitempty"`
	Failures int       `json:"failures,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Again    time.Time `json:"again,omitzero"`
}

// BaseKey is the key of a base's BaseLook. Names of images have characters that keys don't take.
func BaseKey(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "base." + hex.EncodeToString(sum[:16])
}
