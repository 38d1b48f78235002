package producer

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestPlacesOfOneRepositoryAreEqual(t *testing.T) {
	for _, url := range []string{
		"https://Git.Example.com/ops/base.git", "https://git.example.com/ops/base", "https://git.example.com:443/ops/base/",
		"http://git.example.com:80/ops/base.git", "git@git.example.com:ops/base.git", "git.example.com:/ops/base.git",
		"ssh://git@git.example.com/ops/base.git", "ssh://git@git.example.com:22/ops/base.git", "git://git.example.com/ops/base.git",
		"https://git.example.com/Ops/Base.git", "git@git.example.com:OPS/base.git",
	} {
		if got := placeOf(url); got != "git.example.com/ops/base" {
			t.Errorf("placeOf(%q) = %q", url, got)
		}
	}
	for _, url := range []string{"https://git.example.com:8443/ops/base.git", "https://evil.example.com/git.example.com/ops/base.git", "", "base", "/ops/base.git", "https://", "://"} {
		if got := placeOf(url); got == "git.example.com/ops/base" {
			t.Errorf("placeOf(%q) is another repository's", url)
		}
	}
}

// time0 is the time that a request claims, so that its age is in order.
func time0(h http.Header) time.Time {
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return time.Now()
	}
	return time.Unix(seconds, 0)
}
