package buildkit

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/frontend/subrequests/targets"
)

// hub answers like a Docker Hub that says one thing of all images, or that is away where it has no status.
type hub struct{ status int }

func (h hub) RoundTrip(q *http.Request) (*http.Response, error) {
	if h.status == 0 {
		return nil, errors.New("dial tcp: connection refused")
	}
	return &http.Response{
		StatusCode: h.status, Status: http.StatusText(h.status), Body: http.NoBody, Request: q,
		Header: http.Header{"Content-Type": {"application/vnd.oci.image.manifest.v1+json"}, "Docker-Content-Digest": {"sha256:" + emptySum}, "Content-Length": {"0"}},
	}, nil
}

const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TestANameThatIsNearToAStage has Docker Hub know more or less of a name that may be an image's.
func TestANameThatIsNearToAStage(t *testing.T) {
	const (
		base   = "FROM composer:2 AS app\nFROM php\n"
		later  = "FROM php\nFROM x:1 AS php\n"
		copied = "FROM x:1 AS tools\nFROM x:1\nCOPY --from=tolls /a /b\n"
		both   = "FROM x:1 AS tools\nFROM toolz\nRUN --mount=from=tolls,target=/a true\n"
	)
	for about, c := range map[string]struct {
		dockerfile string
		status     int
		want       string // the name that is wrong; "" for none
	}{
		"a base that is there":             {base, http.StatusOK, ""},
		"a base that is not there":         {base, http.StatusNotFound, "php"},
		"a base that may not be read":      {base, http.StatusForbidden, "php"},
		"a base, over the limit":           {base, http.StatusTooManyRequests, ""},
		"a base, in trouble":               {base, http.StatusServiceUnavailable, ""},
		"a base, with Hub away":            {base, 0, ""},
		"a later stage, not there":         {later, http.StatusNotFound, "php"},
		"a later stage, with Hub away":     {later, 0, ""},
		"what is copied from, there":       {copied, http.StatusOK, ""},
		"what is copied from, not there":   {copied, http.StatusNotFound, "tolls"},
		"what is copied from, Hub is away": {copied, 0, "tolls"},
		"a base and a mount, Hub is away":  {both, 0, "tolls"},
		"a base and a mount, not there":    {both, http.StatusNotFound, "toolz"},
	} {
		t.Run(about, func(t *testing.T) {
			answer, err := json.Marshal(targets.List{Sources: [][]byte{[]byte(c.dockerfile)}})
			if err != nil {
				t.Fatal(err)
			}
			r := &run{solver: &Solver{registry: newRegistry(registries.Logins{}, trust{})}}
			r.solver.registry.open = func(name.Repository) *http.Client { return &http.Client{Transport: hub{c.status}} }
			if m, ok := r.misspeltStage(t.Context(), answer); m.Name != c.want || ok != (c.want != "") {
				t.Errorf("%+v, %v; want %q", m, ok, c.want)
			}
		})
	}
}
