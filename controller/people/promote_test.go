package people

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
)

func testFleetImage(order uint64) messages.FleetImage {
	return messages.FleetImage{Image: messages.Image(fmt.Sprintf("r.example.com/app@sha256:%064x", order)), Order: order, Build: fmt.Sprint("b", order)}
}

func TestWhatComesBetweenAPromoteAndItsDecision(t *testing.T) {
	for _, c := range []struct {
		name    string
		between func(*messages.FleetRecord)
		is      error
		says    string
	}{
		{"nothing", func(*messages.FleetRecord) {}, nil, ""},
		{"a hold", func(r *messages.FleetRecord) { r.Hold = &messages.Hold{By: "bob"} }, nil, ""},
		{"a rollback", func(r *messages.FleetRecord) {
			decide.Back(r, testFleetImage(1), decide.NewHold("bob", "broken", time.Time{}))
		}, ErrTooLate, string(testFleetImage(1).Image)},
		{"a flip", func(r *messages.FleetRecord) { decide.Forward(r, testFleetImage(4), 2) }, ErrTooLate, "promote again"},
		{"the same promote", func(r *messages.FleetRecord) { decide.Forward(r, testFleetImage(3), 2) }, ErrNothingToDo, "current already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := messages.FleetRecord{Epoch: 2, Current: testFleetImage(2), Previous: testFleetImage(1)}
			c.between(&r)
			was := r.Current
			err := promoteAt(&r, 2, testFleetImage(3), &messages.Policy{Keep: 2})
			if !errors.Is(err, c.is) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			if promoted := r.Current == testFleetImage(3) && was != r.Current; promoted != (c.is == nil) {
				t.Errorf("current is %+v", r.Current)
			}
		})
	}
}
