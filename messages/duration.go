package messages

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration that is written the way people write one: "90s", "10m".
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the form that ParseDuration reads.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes the string form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the string form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string such as \"90s\", not %s", clip(string(b)))
	}
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// ParseDuration reads a duration such as "90s" or "1h30m" (time.ParseDuration's form). It
// refuses negative ones.
func ParseDuration(s string) (Duration, error) {
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("duration %q is not a number with a unit such as \"90s\" or \"10m\"", clip(s))
	}
	if v < 0 {
		return 0, fmt.Errorf("duration %q is negative", clip(s))
	}
	return Duration(v), nil
}
