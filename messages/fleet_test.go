package messages

import (
	"slices"
	"testing"
)

func TestWantedNamesEachImageOnce(t *testing.T) {
	r := sampleFleetRecord()
	if got := r.Wanted(); !slices.Equal(got, []Image{sampleImage, sampleBase}) {
		t.Errorf("got %v", got)
	}
	if got := (&FleetRecord{}).Wanted(); got != nil {
		t.Errorf("an empty record wants %v", got)
	}
}

func TestFleetRecordValidate(t *testing.T) {
	for name, change := range map[string]func(*FleetRecord){
		"fleet":    func(r *FleetRecord) { r.Fleet = "a.b" },
		"current":  func(r *FleetRecord) { r.Current.Image = "a:tag" },
		"keep":     func(r *FleetRecord) { r.Keep[0].Image = "x" },
		"preload":  func(r *FleetRecord) { r.Preload.Image = "x" },
		"a base":   func(r *FleetRecord) { r.Bases.Images[0] = "x" },
		"previous": func(r *FleetRecord) { r.Previous.Image = "x@sha256:1" },
	} {
		r := sampleFleetRecord()
		change(&r)
		if r.Validate() == nil {
			t.Errorf("a bad %s is taken", name)
		}
	}
}
