package overview

import (
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Short is an image for a table: its name and the first digits of its digest.
func Short(i messages.Image) string {
	if i == "" {
		return ""
	}
	return i.Name() + "@" + ShortDigest(i.Digest())
}

// ShortDigest is the first digits of a digest.
func ShortDigest(d string) string {
	d = strings.TrimPrefix(d, "sha256:")
	return d[:min(12, len(d))]
}

// Ago is how long ago t was, for people.
func Ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

// Counted is a number of things, in words.
func Counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ShortCommit is the first digits of a commit.
func ShortCommit(c string) string { return c[:min(12, len(c))] }

// WithReason is what somebody does, with the reason where there is one.
func WithReason(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}
