package messages

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// The goldens have policies and records as the first producers and controllers wrote them, without how nodes fetch.
func TestHowNodesFetchIsInItsWireForm(t *testing.T) {
	pull := &Pull{Way: PullMirrors, Mirrors: []Mirror{
		{URL: "http://rack-a:5000", Labels: map[string]string{"rack": "a"}, TimeLimit: Duration(5 * time.Second), BackOff: Duration(2 * time.Minute)},
	}}
	const wire = `"pull":{"way":"mirrors","mirrors":[{"url":"http://rack-a:5000","labels":{"rack":"a"},"time_limit":"5s","back_off":"2m0s"}]}`
	r := sampleFleetRecord()
	r.Pull, r.PreloadFrom = pull, []string{"registry.example.com"}
	r.Firsts = []First{{Mirror: "http://rack-a:5000", Image: sampleImage, Node: "dea-1"}}
	r.Bases.Refused = []ImageProblem{{Image: sampleBase, Reason: "not of it"}}
	fleets := sampleFleets()
	fleets[0].Policy.Pull, fleets[0].Policy.PreloadFrom = pull, r.PreloadFrom
	for _, p := range []Payload{
		&FleetChanged{Revision: 9, Record: r}, &BasePinned{BuildRef: BuildRef{Build: sampleBuild, Pipeline: "base", Order: 1}, Attempt: 1, Fleets: fleets},
	} {
		m, err := Encode(sampleEnvelope(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{wire, `"preload_from":["registry.example.com"]`} {
			if !strings.Contains(string(m.Body), want) {
				t.Errorf("it has no %s: %s", want, m.Body)
			}
		}
		if _, got, err := Decode(m); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("read, it is %+v, error %v", got, err)
		}
	}
}
